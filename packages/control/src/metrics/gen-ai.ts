import type { ExchangeSample } from '@sallyport/core';
import { type Cell, Counter, type ExchangeRef, Histogram, type HistogramCell, type Instrument } from './instrument.ts';

/**
 * OpenTelemetry's semantic conventions for generative AI (open-telemetry/semantic-conventions-genai, status Development, read
 * 2026-11-20), in Prometheus spelling: dots become underscores, the unit a suffix. Bounds are the ones the conventions advise.
 */
const DURATION_BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKEN_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];
const FIRST_TOKEN_BOUNDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const PER_TOKEN_BOUNDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

const LABELS = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'];

/** `gen_ai.operation.name` of what the endpoints do. `rerank` is no well-known value. */
const OPERATIONS: Readonly<Record<string, string>> = {
  'openai.chat': 'chat',
  'openai.completions': 'text_completion',
  'openai.responses': 'chat',
  'openai.embeddings': 'embeddings',
  'openai.rerank': 'rerank',
  'anthropic.messages': 'chat',
  'ollama.chat': 'chat',
  'ollama.generate': 'text_completion',
  'ollama.embed': 'embeddings',
  'ollama.embeddings': 'embeddings',
};

/** Null where an endpoint asks no model. */
export function operationOf(endpoint: string): string | null {
  return OPERATIONS[endpoint] ?? null;
}

/** `gen_ai.provider.name`; the conventions have no well-known value for the engines people run themselves. */
export function providerOf(kind: string): string {
  return kind === 'llamacpp' ? 'llama_cpp' : kind;
}

interface GenAiCells {
  readonly server: HistogramCell;
  readonly client: HistogramCell;
  readonly firstToken: HistogramCell;
  readonly perToken: HistogramCell;
  readonly input: HistogramCell;
  readonly output: HistogramCell;
  readonly inputTotal: Cell;
  readonly outputTotal: Cell;
}

/** Sallyport is a server to its clients and a client to the model servers, so it has the names of both. */
export class GenAiMetrics {
  readonly #server = new Histogram(
    'gen_ai_server_request_duration_seconds',
    'Exchanges as clients see them.',
    [...LABELS, 'error_type'],
    DURATION_BOUNDS,
  );
  readonly #client = new Histogram(
    'gen_ai_client_operation_duration_seconds',
    'Exchanges without the time Sallyport itself took.',
    [...LABELS, 'error_type'],
    DURATION_BOUNDS,
  );
  readonly #firstToken = new Histogram(
    'gen_ai_server_time_to_first_token_seconds',
    'Time to the first piece of a reply.',
    LABELS,
    FIRST_TOKEN_BOUNDS,
  );
  readonly #perToken = new Histogram(
    'gen_ai_server_time_per_output_token_seconds',
    'Time per token after the first, of replies that were streamed.',
    LABELS,
    PER_TOKEN_BOUNDS,
  );
  readonly #usage = new Histogram(
    'gen_ai_client_token_usage',
    'Tokens of an exchange as counted by the model server.',
    [...LABELS, 'gen_ai_token_type'],
    TOKEN_BOUNDS,
  );
  readonly #inputTotal = new Counter('gen_ai_client_inference_usage_input_tokens', 'Input tokens.', LABELS);
  readonly #outputTotal = new Counter('gen_ai_client_inference_usage_output_tokens', 'Output tokens.', LABELS);

  get instruments(): readonly Instrument[] {
    return [this.#server, this.#client, this.#firstToken, this.#perToken, this.#usage, this.#inputTotal, this.#outputTotal];
  }

  /** Null where no model was asked. */
  cells({ endpoint, model, provider, outcome }: ExchangeSample): GenAiCells | null {
    const operation = operationOf(endpoint);
    if (operation === null || provider === null) return null;
    const labels: [string, string, string] = [operation, providerOf(provider), model];
    const error = outcome === 'answered' ? '' : outcome;
    return {
      server: this.#server.of(...labels, error),
      client: this.#client.of(...labels, error),
      firstToken: this.#firstToken.of(...labels),
      perToken: this.#perToken.of(...labels),
      input: this.#usage.of(...labels, 'input'),
      output: this.#usage.of(...labels, 'output'),
      inputTotal: this.#inputTotal.of(...labels),
      outputTotal: this.#outputTotal.of(...labels),
    };
  }

  observe(cells: GenAiCells, sample: ExchangeSample, exchange: ExchangeRef | null): void {
    const { total, overhead, ttft, inputTokens, outputTokens } = sample;
    cells.server.observe(total, exchange);
    cells.client.observe(Math.max(0, total - overhead), exchange);
    if (ttft !== null) {
      cells.firstToken.observe(ttft, exchange);
      // Of a reply that came whole there is no first token to count from.
      if (sample.streamed && outputTokens > 1) cells.perToken.observe((total - ttft) / (outputTokens - 1), exchange);
    }
    if (inputTokens > 0) {
      cells.input.observe(inputTokens);
      cells.inputTotal.value += inputTokens;
    }
    if (outputTokens > 0) {
      cells.output.observe(outputTokens);
      cells.outputTotal.value += outputTokens;
    }
  }
}
