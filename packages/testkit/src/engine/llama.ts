import { setTimeout as sleep } from 'node:timers/promises';
import { StopMatcher } from './stop.ts';

/** The part of node-llama-cpp (peers/llama) that the engine uses. The package is installed on demand, so its own types may be absent. */
interface LlamaModule {
  getLlama(options: {
    gpu: false;
    build: 'never';
    skipDownload: true;
    progressLogs: false;
    logLevel: 'error';
    maxThreads: number;
  }): Promise<LlamaBinding>;
}

interface LlamaBinding {
  loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

type Token = number;

interface LlamaModel {
  tokenize(text: string): Token[];
  detokenize(tokens: readonly Token[], specialTokens: boolean, lastTokens: readonly Token[]): string;
  isEogToken(token: Token): boolean;
  createContext(options: { sequences: number; contextSize: number; batchSize: number; threads: number }): Promise<LlamaContext>;
  createEmbeddingContext(options: { contextSize: number; threads: number }): Promise<LlamaEmbeddingContext>;
}

interface LlamaContext {
  getSequence(): LlamaSequence;
}

interface LlamaSequence {
  evaluate(tokens: Token[], options: { temperature: number; seed: number }): AsyncGenerator<Token, void, void>;
  clearHistory(): Promise<void>;
}

interface LlamaEmbeddingContext {
  getEmbeddingFor(input: string): Promise<{ readonly vector: readonly number[] }>;
}

/** What a caller may ask of one generation. `paceMs` waits before every token, the first one included; 0 is full speed. */
export interface GenerationOptions {
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly paceMs: number;
}

/** Why a generation ended: the model's own end token, the token limit, a stop sequence, or the caller leaving. */
export type FinishReason = 'end' | 'length' | 'stop' | 'aborted';

export interface GenerationEnd {
  readonly reason: FinishReason;
  readonly stopSequence: string | null;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

const SEQUENCES = 16;
const CONTEXT_TOKENS = 2048;
const THREADS = 1;

/** A loaded model. At most 16 generations run at once; later ones wait for a place. */
export class Llama {
  readonly #binding: LlamaBinding;
  readonly #model: LlamaModel;
  readonly #embedding: LlamaEmbeddingContext;
  readonly #free: LlamaSequence[];
  readonly #waiting: ((sequence: LlamaSequence) => void)[] = [];

  private constructor(binding: LlamaBinding, model: LlamaModel, context: LlamaContext, embedding: LlamaEmbeddingContext) {
    this.#binding = binding;
    this.#model = model;
    this.#embedding = embedding;
    this.#free = Array.from({ length: SEQUENCES }, () => context.getSequence());
  }

  /** Loads `modelPath` on the processor alone with the prebuilt binary; never compiles, never downloads. */
  static async load(packageEntry: URL, modelPath: string): Promise<Llama> {
    const module: LlamaModule = await import(packageEntry.href);
    const binding = await module.getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      logLevel: 'error',
      maxThreads: THREADS,
    });
    const model = await binding.loadModel({ modelPath, gpuLayers: 0 });
    const context = await model.createContext({ sequences: SEQUENCES, contextSize: CONTEXT_TOKENS, batchSize: 512, threads: THREADS });
    const embedding = await model.createEmbeddingContext({ contextSize: CONTEXT_TOKENS, threads: THREADS });
    return new Llama(binding, model, context, embedding);
  }

  count(text: string): number {
    return this.#model.tokenize(text).length;
  }

  async embed(text: string): Promise<readonly number[]> {
    const { vector } = await this.#embedding.getEmbeddingFor(text);
    return vector;
  }

  /**
   * Yields the reply piece by piece, whole characters only, and returns how it ended. When `signal` aborts it stops before the next
   * token. A prompt too long for the context loses its beginning, as chat front ends do.
   */
  async *generate(prompt: string, options: GenerationOptions, signal: AbortSignal): AsyncGenerator<string, GenerationEnd, void> {
    const promptTokens = this.#model.tokenize(prompt);
    const maxTokens = Math.min(options.maxTokens, CONTEXT_TOKENS / 2);
    const input = promptTokens.slice(-(CONTEXT_TOKENS - maxTokens - 1));
    let outputTokens = 0;
    const end = (reason: FinishReason, stopSequence: string | null = null): GenerationEnd => ({
      reason,
      stopSequence,
      promptTokens: promptTokens.length,
      outputTokens,
    });
    const sequence = await this.#acquire();
    try {
      if (!(await pace(options.paceMs, signal))) return end('aborted');
      const matcher = new StopMatcher(options.stop);
      const generation = sequence.evaluate(input, { temperature: options.temperature, seed: options.seed });
      let last: Token[] = [];
      let pending: Token[] = [];
      for await (const token of generation) {
        if (signal.aborted) return end('aborted');
        if (this.#model.isEogToken(token)) {
          yield* matcher.flush();
          return end('end');
        }
        outputTokens++;
        pending.push(token);
        const text = this.#model.detokenize(pending, false, last);
        // A byte token may end inside a character; wait for the rest of it.
        if (!text.endsWith('\uFFFD') || pending.length > 4) {
          last = pending;
          pending = [];
          yield* matcher.push(text);
          if (matcher.matched !== null) return end('stop', matcher.matched);
        }
        if (outputTokens >= maxTokens) {
          yield* matcher.flush();
          return end('length');
        }
        if (!(await pace(options.paceMs, signal))) return end('aborted');
      }
      yield* matcher.flush();
      return end('end');
    } finally {
      await sequence.clearHistory();
      this.#release(sequence);
    }
  }

  async dispose(): Promise<void> {
    await this.#binding.dispose();
  }

  #acquire(): Promise<LlamaSequence> {
    const sequence = this.#free.pop();
    if (sequence !== undefined) return Promise.resolve(sequence);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(sequence: LlamaSequence): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(sequence);
    else this.#free.push(sequence);
  }
}

/** Waits and tells whether the caller is still there. */
async function pace(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms > 0 && !signal.aborted) {
    await sleep(ms, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
  return !signal.aborted;
}
