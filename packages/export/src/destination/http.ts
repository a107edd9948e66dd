import type { Egress, TlsOptions } from '@sallyport/egress';
import { Agent, type Dispatcher } from 'undici';
import { BatchRefused, DeliveryFailed } from './destination.ts';

export interface HttpAnswer {
  readonly status: number;
  /** At most a mebibyte of it. */
  readonly body: Buffer;
  /** Milliseconds of `retry-after`, or null. */
  readonly retryAfter: number | null;
}

/** Sends one request. The port through which exporters reach HTTP receivers. */
export type HttpSend = (request: {
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  readonly signal: AbortSignal;
}) => Promise<HttpAnswer>;

const LONGEST_ANSWER = 1 << 20;

/** One receiver over HTTP: its connections, kept alive. Redirects are not followed. */
export class HttpPeer implements AsyncDisposable {
  readonly #agent: Agent;

  constructor(egress: Egress, tls: TlsOptions | null) {
    this.#agent = new Agent({ connections: 1, connect: egress.connector(tls ?? {}), headersTimeout: 0, bodyTimeout: 0 });
  }

  readonly send: HttpSend = async ({ url, method, headers, body, signal }) => {
    const { origin, pathname, search } = new URL(url);
    const answer = await this.#agent.request({ origin, path: `${pathname}${search}`, method, headers: { ...headers }, body, signal });
    return {
      status: answer.statusCode,
      body: await readBounded(answer.body),
      retryAfter: parseRetryAfter(answer.headers['retry-after']),
    };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}

/** The receiver is a stranger: its answer is read up to a bound, the rest is dropped with the connection. */
async function readBounded(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    length += bytes.length;
    if (length > LONGEST_ANSWER) break;
  }
  return Buffer.concat(chunks).subarray(0, LONGEST_ANSWER);
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function parseRetryAfter(value: string | string[] | undefined): number | null {
  if (typeof value !== 'string') return null;
  if (/^\d{1,7}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

/**
 * What a status means where the receiver's API gives it no other meaning. 401, 403, 404 and redirects are a wrong setting: they are tried
 * again until somebody puts it right, and lose nothing.
 * @throws {BatchRefused} 400, 413, 422 · {DeliveryFailed} any other but 2xx
 */
export function expectSuccess({ status, retryAfter }: HttpAnswer): void {
  if (status >= 200 && status < 300) return;
  if (status === 400 || status === 413 || status === 422) throw new BatchRefused(`HTTP ${status}`);
  throw new DeliveryFailed(`HTTP ${status}`, { retryAfter });
}

/** The answer as a JSON object; an empty one where it is not. */
export function answerObject({ body }: HttpAnswer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}
