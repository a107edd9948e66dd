import type { Config, ConfigWarning, Installation as NewInstallation } from '@sallyport/control';

/** What the first start says, once: keys are not shown again. `terminal` is false where a log takes what is told. */
export function issued(made: NewInstallation, terminal: boolean): string {
  return [
    '',
    'Sallyport is set up. These keys are shown once; keep them now.',
    '',
    `  owner key (administration)   ${made.ownerKey.secret}`,
    `  first key (inference)        ${made.firstKey.secret}`,
    '',
    ...(terminal
      ? []
      : [
          'This is no terminal: the keys above are now in a file or a log. Whoever reads it has them, so give both a new secret:',
          '',
          `  npx sallyport keys rotate ${made.ownerKey.key.id} --overlap 0s`,
          `  npx sallyport keys rotate ${made.firstKey.key.id} --overlap 0s`,
          '',
        ]),
  ].join('\n');
}

/** A first call to copy, once the gateway listens at `base`. */
export function firstCall(made: NewInstallation, base: string, model: string): string {
  return [
    'Try it:',
    '',
    `  curl ${base}/v1/chat/completions \\`,
    `    -H 'authorization: Bearer ${made.firstKey.secret}' \\`,
    "    -H 'content-type: application/json' \\",
    `    -d '{"model":${JSON.stringify(model)},"messages":[{"role":"user","content":"Hello"}]}'`,
    '',
    'OpenAI clients use the base URL above with /v1, Anthropic and Ollama clients without.',
    '',
  ].join('\n');
}

/** Where everything is, and which models answer. `looked` is true where no file named the upstreams and this machine was searched. */
export function summary(config: Config, gateway: string, control: string | null, looked: boolean): string {
  const names = config.models.map((model) => model.name);
  const shown = names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ') || '(none)';
  const lines = [`Gateway   ${gateway}   models: ${shown}`];
  if (control !== null) lines.push(`Control   ${control}   admin API at /admin/v1, metrics at /metrics`);
  if (looked && config.upstreams.every((upstream) => upstream.kind === 'demo')) {
    lines.push(
      'No inference server was found on this machine: the built-in model `demo` answers. Start Ollama, vLLM, llama.cpp, TGI or LM Studio and restart.',
    );
  }
  return lines.join('\n');
}

/** What is weak for production, each with its fix. */
export function weaknesses(config: Config, warnings: readonly ConfigWarning[], home: readonly string[]): string {
  const weak = [...warnings.map(({ message, fix }) => `${message}: ${fix}`), ...home];
  if (config.tls === null) weak.push('no TLS: fine on loopback; set tls.cert and tls.key before other machines connect');
  if (config.limits.length === 0) weak.push('no limits: add `limits:` so that one caller cannot use up a model');
  return weak.length === 0 ? '' : ['Before production:', ...weak.map((line) => `  - ${line}`)].join('\n');
}
