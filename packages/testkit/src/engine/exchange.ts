import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FinishReason, GenerationEnd, GenerationOptions, Llama } from './llama.ts';

/** A request the engine will not serve; each dialect words it in its own envelope. */
export class EngineError extends Error {
  override readonly name: string = 'EngineError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Counts since start. An aborted generation is one whose client left before its end. Times are epoch milliseconds. */
export interface EngineStats {
  started: number;
  finished: number;
  aborted: number;
  active: number;
  lastAbortAt: number | null;
}

/** Milliseconds before each token, by model name: the same weights at three speeds. `tiny-hang` never gets to its first token. */
export const MODELS: ReadonlyMap<string, number> = new Map([
  ['tiny', 0],
  ['tiny-slow', 40],
  ['tiny-hang', 3_600_000],
]);

/** Replies carry this instead of the time, so that equal requests get equal bytes. Seconds. */
export const NOMINAL_TIME = 1_767_225_600;

const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** One HTTP exchange with the engine: reads the request, runs generations that stop when the client leaves, writes the reply. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly llama: Llama;
  readonly #stats: EngineStats;
  readonly #left = new AbortController();

  constructor(request: IncomingMessage, response: ServerResponse, llama: Llama, stats: EngineStats) {
    this.request = request;
    this.response = response;
    this.llama = llama;
    this.#stats = stats;
    response.on('close', () => {
      if (!response.writableFinished) this.#left.abort();
    });
  }

  get clientLeft(): boolean {
    return this.#left.signal.aborted;
  }

  async readJson(): Promise<Fields> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.request) {
      const bytes = chunk instanceof Buffer ? chunk : Buffer.from(String(chunk));
      length += bytes.length;
      if (length > MAX_BODY_BYTES) throw new EngineError(413, 'the request body is too large');
      chunks.push(bytes);
    }
    try {
      return new Fields(JSON.parse(Buffer.concat(chunks).toString('utf8')), 'body');
    } catch (error) {
      if (error instanceof SyntaxError) throw new EngineError(400, 'the request body is not JSON');
      throw error;
    }
  }

  /** Yields the reply's pieces and returns its end; counted in the statistics on every path. */
  async *generate(model: string, prompt: string, options: Omit<GenerationOptions, 'paceMs'>): AsyncGenerator<string, GenerationEnd, void> {
    const paceMs = MODELS.get(model);
    if (paceMs === undefined) throw new EngineError(404, `model '${model}' not found`);
    this.#stats.started++;
    this.#stats.active++;
    let reason: FinishReason = 'aborted';
    try {
      const end = yield* this.llama.generate(prompt, { ...options, paceMs }, this.#left.signal);
      reason = end.reason;
      return end;
    } finally {
      this.#stats.active--;
      if (reason === 'aborted') {
        this.#stats.aborted++;
        this.#stats.lastAbortAt = Date.now();
      } else {
        this.#stats.finished++;
      }
    }
  }

  /** Runs a generation to its end. */
  async complete(
    model: string,
    prompt: string,
    options: Omit<GenerationOptions, 'paceMs'>,
  ): Promise<{ readonly text: string; readonly end: GenerationEnd }> {
    const generation = this.generate(model, prompt, options);
    let text = '';
    for (;;) {
      const step = await generation.next();
      if (step.done === true) return { text, end: step.value };
      text += step.value;
    }
  }

  sendJson(status: number, value: unknown): void {
    const body = Buffer.from(JSON.stringify(value), 'utf8');
    this.response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
    this.response.end(body);
  }

  openStream(contentType: 'text/event-stream' | 'application/x-ndjson'): void {
    this.response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache' });
    this.response.flushHeaders();
  }

  /** Writes and waits for room; returns at once when the client has left. */
  async write(text: string): Promise<void> {
    if (this.clientLeft || this.response.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.response.off('drain', done).off('close', done);
        resolve();
      };
      this.response.on('drain', done).on('close', done);
    });
  }

  async writeEvent(data: unknown, event?: string): Promise<void> {
    await this.write(`${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }
}

/** Reads members of a JSON object, refusing wrong types by name. */
export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #name: string;

  constructor(value: unknown, name: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new EngineError(400, `${name} must be an object`);
    this.#object = { ...value };
    this.#name = name;
  }

  raw(key: string): unknown {
    return this.#object[key];
  }

  string(key: string, fallback?: string): string {
    const value = this.#object[key] ?? fallback;
    if (typeof value !== 'string') throw new EngineError(400, `${this.#name}.${key} must be a string`);
    return value;
  }

  number(key: string, fallback: number): number {
    const value = this.#object[key] ?? fallback;
    if (typeof value !== 'number') throw new EngineError(400, `${this.#name}.${key} must be a number`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#object[key] ?? fallback;
    if (typeof value !== 'boolean') throw new EngineError(400, `${this.#name}.${key} must be a boolean`);
    return value;
  }

  object(key: string): Fields {
    return new Fields(this.#object[key] ?? {}, `${this.#name}.${key}`);
  }

  objects(key: string): Fields[] {
    const value = this.#object[key];
    if (!Array.isArray(value)) throw new EngineError(400, `${this.#name}.${key} must be an array`);
    return value.map((item: unknown, index) => new Fields(item, `${this.#name}.${key}[${index}]`));
  }

  /** One string or several, as `stop`, `prompt` and `input` are given. */
  strings(key: string): string[] {
    const value = this.#object[key] ?? [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.map((item) => {
      if (typeof item !== 'string') throw new EngineError(400, `${this.#name}.${key} must be a string or an array of strings`);
      return item;
    });
  }
}

/** Flattens chat messages into a prompt: string content or the `text` of its parts, which is all the tiny model can read. */
export function chatPrompt(messages: readonly Fields[]): string {
  return `${messages.map((message) => `${message.string('role')}: ${contentText(message.raw('content'))}\n`).join('')}assistant:`;
}

export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part: unknown) => (typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string' ? part.text : ''))
    .join(' ');
}
