import type { JsonObject, JsonValue } from '../json/document.ts';

/** What `/api/show` may tell of a model. A modelfile names the server's files and the model it was made from; so does `parent_model`. */
const FIELDS: readonly string[] = [
  'license',
  'parameters',
  'template',
  'system',
  'capabilities',
  'modified_at',
  'messages',
  'model_info',
  'projector_info',
];
const DETAILS: readonly string[] = ['format', 'family', 'families', 'parameter_size', 'quantization_level'];

/**
 * An Ollama model description made anew from the members that speak of the model and not of the server. The members that are left out are
 * there and empty, because Ollama's own clients expect them. Returns what it was given where that is no JSON object: the reader after it
 * refuses it.
 */
export function publicDescription(body: Buffer): Buffer {
  const description = parse(body);
  if (description === null) return body;
  const details = description['details'];
  return Buffer.from(
    JSON.stringify({
      modelfile: '',
      ...pick(description, FIELDS),
      details: { parent_model: '', ...(isObject(details) ? pick(details, DETAILS) : {}) },
    }),
  );
}

function parse(body: Buffer): JsonObject | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isObject(value) ? value : null;
  } catch {
    return null; // not JSON: refused as such by the format's reader
  }
}

function pick(from: JsonObject, names: readonly string[]): JsonObject {
  const picked: Record<string, JsonValue> = {};
  for (const name of names) {
    const value = Object.hasOwn(from, name) ? from[name] : undefined;
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
