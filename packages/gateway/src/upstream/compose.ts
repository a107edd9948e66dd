import { Fault } from '@sallyport/core';
import { composeModel, composeModels, composePs, composeShow, composeTags, composeVersion, encodeTokenCount } from '@sallyport/wire';
import type { Permitted } from '../stage/facts.ts';
import type { UpstreamCall } from './call.ts';
import { StaticCall } from './static-call.ts';

/** Version told to Ollama clients, some of which refuse to talk to servers that seem too old. Not an upstream's. */
const OLLAMA_API_VERSION = '0.14.0';

/** The answers that are Sallyport's own. Lists show the models the caller may use, by their public names, and nothing of what is behind. */
export function composeAnswer(permitted: Permitted): UpstreamCall {
  return new StaticCall('application/json', [Buffer.from(bodyOf(permitted))]);
}

/** For servers that do not describe their models themselves. */
export function composeDescription({ request, snapshot }: Permitted): UpstreamCall {
  return new StaticCall('application/json', [Buffer.from(composeShow(request?.json.value ?? {}, snapshot.builtAt))]);
}

/** For servers that do not count tokens themselves: an estimate from the length of the request, as the limits use it. */
export function composeTokenCount(tokens: number): UpstreamCall {
  const { contentType, chunks } = encodeTokenCount(tokens);
  return new StaticCall(contentType, chunks);
}

function bodyOf(permitted: Permitted): string {
  const created = Math.floor(permitted.snapshot.builtAt / 1000);
  switch (permitted.endpoint.id) {
    case 'openai.models':
      return composeModels(visibleModels(permitted), created);
    case 'openai.model':
      return composeModel(visibleModel(permitted), created);
    case 'ollama.tags':
      return composeTags(visibleModels(permitted), permitted.snapshot.builtAt);
    case 'ollama.ps':
      return composePs();
    case 'ollama.version':
      return composeVersion(OLLAMA_API_VERSION);
    default:
      throw new TypeError(`no answer is composed for ${permitted.endpoint.id}`);
  }
}

function mayUse({ compiled, principal, incoming }: Permitted, name: string): boolean {
  const context = { now: compiled.clock.now(), ip: incoming.source.ip };
  return (['model.infer', 'model.embed', 'model.rerank'] as const).some(
    (action) => compiled.policy.decide(principal, action, { kind: 'model', name }, context).effect === 'permit',
  );
}

function visibleModels(permitted: Permitted): string[] {
  return [...permitted.snapshot.routes.keys()].filter((name) => mayUse(permitted, name));
}

function visibleModel(permitted: Permitted): string {
  const { model, snapshot } = permitted;
  if (model === null || !snapshot.routes.has(model) || !mayUse(permitted, model)) {
    throw new Fault('model_not_found', 'There is no such model.', { param: 'model' });
  }
  return model;
}
