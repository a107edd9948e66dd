import type { Config, ConfigWarning, Installation as NewInstallation } from '@sallyport/control';

/** What the first start says, once: keys are not shown again. */
export function welcome(made: NewInstallation, base: string, model: string): string {
  return [
    '',
    'Sallyport is set up. These keys are shown once; keep them now.',
    '',
    `  owner key (administration)   ${made.ownerKey.secret}`,
    `  first key (inference)        ${made.firstKey.secret}`,
    '',
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

/** Where everything is, and which models answer. */
export function summary(config: Config, gateway: string, control: string | null): string {
  const names = config.models.map((model) => model.name);
  const shown = names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ') || '(none)';
  const lines = [`Gateway   ${gateway}   models: ${shown}`];
  if (control !== null) lines.push(`Control   ${control}   admin API at /admin/v1, metrics at /metrics`);
  if (config.upstreams.every((upstream) => upstream.kind === 'demo')) {
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
