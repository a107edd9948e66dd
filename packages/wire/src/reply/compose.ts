/**
 * Answers that Sallyport gives itself instead of passing an upstream's on: lists of models show public names only, and nothing of what
 * serves them.
 */

/** Stands for digests of model files, which are not told. Clients of Ollama print the first twelve digits, so there must be some. */
const UNTOLD_DIGEST = '0'.repeat(64);

/**
 * `GET /v1/models`. OpenAI's and Anthropic's clients call the same path; the members of both shapes are there, and each ignores the
 * other's. `created` is in epoch seconds.
 */
export function composeModels(names: readonly string[], created: number): string {
  return JSON.stringify({
    object: 'list',
    data: names.map((name) => card(name, created)),
    has_more: false,
    first_id: names[0] ?? null,
    last_id: names.at(-1) ?? null,
  });
}

/** `GET /v1/models/{name}`. `created` is in epoch seconds. */
export function composeModel(name: string, created: number): string {
  return JSON.stringify(card(name, created));
}

function card(name: string, created: number): object {
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'sallyport',
    type: 'model',
    display_name: name,
    created_at: new Date(created * 1000).toISOString(),
  };
}

/** Ollama `GET /api/tags`. `modified` is in epoch milliseconds. */
export function composeTags(names: readonly string[], modified: number): string {
  return JSON.stringify({
    models: names.map((name) => ({
      name,
      model: name,
      modified_at: new Date(modified).toISOString(),
      size: 0,
      digest: UNTOLD_DIGEST,
      details: { parent_model: '', format: '', family: '', families: [], parameter_size: '', quantization_level: '' },
    })),
  });
}

/** Ollama `GET /api/version`. Clients compare it to know what a server can do, so it is the Ollama version whose API is spoken. */
export function composeVersion(version: string): string {
  return JSON.stringify({ version });
}

/** Ollama `GET /api/ps`: what an upstream has loaded is not told. */
export function composePs(): string {
  return JSON.stringify({ models: [] });
}
