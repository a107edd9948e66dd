import type { EndpointId } from './endpoint.ts';
import { encodeReply } from './reply/encode.ts';

/** An answer that Sallyport composes in the model's place. */
export interface ComposedReply {
  readonly contentType: 'application/json' | 'text/event-stream' | 'application/x-ndjson';
  readonly body: string;
}

/** What the assistant says where a request was blocked. It tells nothing of which rule or word did it. */
export const REFUSAL = 'This request was blocked by the content policy.';

const GENERATING: ReadonlySet<EndpointId> = new Set<EndpointId>([
  'openai.chat',
  'openai.completions',
  'openai.responses',
  'anthropic.messages',
  'ollama.chat',
  'ollama.generate',
]);

/**
 * A blocked request answered as a turn of the assistant that a content filter ended (Anthropic's `refusal`): agents loop on a 4xx and
 * stop at this. Null for endpoints that generate nothing. `created` is in epoch seconds, `id` the request's (letters, digits, dashes).
 */
export function contentFilterReply(
  endpoint: EndpointId,
  model: string,
  stream: boolean,
  id: string,
  created: number,
): ComposedReply | null {
  if (!GENERATING.has(endpoint)) return null;
  const usage = { input: 0, output: 0, cached: 0, exact: true };
  const reply = { id, model, created: created * 1000, text: REFUSAL, usage, finish: 'content_filter' } as const;
  const { contentType, chunks } = encodeReply(endpoint, reply, stream, [REFUSAL]);
  return { contentType, body: Buffer.concat(chunks).toString() };
}
