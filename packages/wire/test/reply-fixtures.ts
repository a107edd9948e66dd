import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { EndpointId } from '../src/endpoint.ts';
import type { ReplyEvent, ReplyFormat } from '../src/reply/format.ts';
import { REPLY_FORMATS } from '../src/reply/formats.ts';

const FOLDER = new URL('./testdata/reply/', import.meta.url);

/** Recorded shapes of real servers' streams, and the endpoint each answers. */
export const STREAMS: readonly { readonly name: string; readonly endpoint: EndpointId; readonly bytes: Buffer }[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.sse') || name.endsWith('.ndjson'))
  .map((name) => ({ name, endpoint: endpointOf(name), bytes: readFileSync(new URL(name, FOLDER)) }));

function endpointOf(name: string): EndpointId {
  if (name.includes('completions')) return 'openai.completions';
  if (name.includes('responses')) return 'openai.responses';
  if (name.includes('messages')) return 'anthropic.messages';
  if (name.startsWith('ollama-generate')) return 'ollama.generate';
  if (name.startsWith('ollama-pull')) return 'ollama.pull';
  return name.startsWith('ollama') ? 'ollama.chat' : 'openai.chat';
}

export function format(endpoint: EndpointId): ReplyFormat {
  const found = REPLY_FORMATS[endpoint];
  assert.ok(found !== null);
  return found;
}

/** Reads a stream given in chunks, and checks on the way that no byte is lost. */
export function readStream(
  endpoint: EndpointId,
  chunks: readonly Buffer[],
  maxEventBytes: number = 1 << 20,
): { events: ReplyEvent[]; finished: boolean } {
  const stream = format(endpoint).openStream({ maxEventBytes });
  const events: ReplyEvent[] = [];
  for (const chunk of chunks) events.push(...stream.push(chunk));
  events.push(...stream.end());
  assert.deepEqual(Buffer.concat(events.map((event) => event.raw)), Buffer.concat(chunks));
  return { events, finished: stream.finished };
}

/** The one event of a stream that holds a single JSON payload. */
export function readOne(endpoint: EndpointId, payload: unknown): ReplyEvent {
  const { events } = readStream(endpoint, [frame(endpoint, typeof payload === 'string' ? payload : JSON.stringify(payload))]);
  const [event] = events;
  assert.ok(event !== undefined && events.length === 1);
  return event;
}

/** Frames a payload as the endpoint's stream does. */
export function frame(endpoint: EndpointId, json: string): Buffer {
  return Buffer.from(format(endpoint).streamType === 'text/event-stream' ? `data: ${json}\n\n` : `${json}\n`);
}

/** What can be seen of an event, for comparison. */
export function plain(event: ReplyEvent): object {
  const { raw, kind, texts, usage, closes, model } = event;
  return { raw: raw.toString('latin1'), kind, texts, usage, closes, model };
}

/** The text of each channel: deltas joined, or the list of what was given whole. */
export function channels(events: readonly ReplyEvent[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { texts } of events) {
    for (const { channel, kind, mode, text } of texts) {
      const key = `${channel} ${kind}${mode === 'whole' ? ' whole' : ''}`;
      found[key] = mode === 'delta' || found[key] === undefined ? (found[key] ?? '') + text : `${found[key]}|${text}`;
    }
  }
  return found;
}

/** The JSON payload of an event's bytes. */
export function payloadOf(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  const data = text.startsWith('{')
    ? text
    : text
        .split(/\r\n|\r|\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(line.charAt(5) === ' ' ? 6 : 5))
        .join('\n');
  return JSON.parse(data);
}
