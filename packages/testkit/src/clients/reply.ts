/** What the client matrix speaks in, and how a client's reply is gathered. */

/** What a real client is pointed at. */
export interface ClientTarget {
  /** `http://host:port`, no trailing slash: what a user would configure, before `/v1`. */
  readonly baseUrl: string;
  readonly key: string;
  readonly model: string;
}

export interface TextRequest {
  readonly prompt: string;
  readonly maxTokens: number;
  /** For streams: the client leaves after this many pieces of text. */
  readonly leaveAfter?: number;
}

/** What a client made of a reply, the same for every client and call. What a client does not report is null. */
export interface ClientReply {
  readonly text: string;
  /** Pieces of text it came in; 1 for a whole reply. */
  readonly pieces: number;
  /** In the words of the client's dialect. */
  readonly finish: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly model: string | null;
}

/** A failure as the client's user sees it. */
export interface ClientFailure {
  readonly status: number | null;
  /** The stable code of the error envelope where the client exposes it. */
  readonly code: string | null;
  readonly message: string;
}

export type ClientName = 'openai' | 'anthropic' | 'ollama' | 'ai-sdk' | 'langchain' | 'curl';

/** One row of the client matrix: a text-generating call of a real client. */
export interface ClientCall {
  readonly client: ClientName;
  readonly call: string;
  readonly stream: boolean;
  readonly run: (target: ClientTarget, request: TextRequest) => Promise<ClientReply>;
}

/** Gathers a stream's pieces; says when the client has had enough. */
export class Gathered {
  text = '';
  pieces = 0;
  finish: string | null = null;
  inputTokens: number | null = null;
  outputTokens: number | null = null;
  model: string | null = null;
  readonly #leaveAfter: number;

  constructor(request: TextRequest) {
    this.#leaveAfter = request.leaveAfter ?? Number.POSITIVE_INFINITY;
  }

  add(text: string): void {
    if (text.length === 0) return;
    this.text += text;
    this.pieces++;
  }

  get enough(): boolean {
    return this.pieces >= this.#leaveAfter;
  }

  reply(): ClientReply {
    const { text, pieces, finish, inputTokens, outputTokens, model } = this;
    return { text, pieces, finish, inputTokens, outputTokens, model };
  }
}

/** A reply that came in one piece. */
export function whole(text: string, finish: string | null, model: string | null, inputTokens?: number, outputTokens?: number): ClientReply {
  return { text, pieces: 1, finish, inputTokens: inputTokens ?? null, outputTokens: outputTokens ?? null, model };
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
