import type { EndpointId } from '../endpoint.ts';
import type { JsonObject, JsonValue } from '../json/document.ts';

/** The JSON Schema that a request asks its reply to fit, and the field that says so; `{}` is any JSON. */
export interface RequestedFormat {
  readonly field: string;
  readonly schema: JsonObject;
}

const OBJECT: JsonObject = { type: 'object' };

/**
 * What a body that was parsed asks its reply to be, in the way of its API: `response_format` of OpenAI (and TGI, llama.cpp), `text.format` of
 * responses, `output_config.format` of Anthropic, `format` of Ollama. Null where it asks for no JSON; grammars and patterns are no JSON.
 */
export function requestedFormat(endpoint: EndpointId, body: JsonObject): RequestedFormat | null {
  switch (endpoint) {
    case 'openai.chat':
    case 'openai.completions':
      return typed('response_format', body['response_format']);
    case 'openai.responses':
      return typed('text.format', member(body['text'], 'format'));
    case 'anthropic.messages':
      return typed('output_config.format', member(body['output_config'], 'format')) ?? typed('output_format', body['output_format']);
    case 'ollama.chat':
    case 'ollama.generate': {
      const { format } = body;
      if (format === 'json') return { field: 'format', schema: {} };
      return isObject(format) ? { field: 'format', schema: format } : null;
    }
    default:
      return null;
  }
}

/** A format with a `type`. Where its schema stands differs by server. */
function typed(field: string, format: JsonValue | undefined): RequestedFormat | null {
  if (!isObject(format)) return null;
  const { type } = format;
  if (type !== 'json_schema' && type !== 'json_object' && type !== 'json') return null;
  for (const schema of [member(format['json_schema'], 'schema'), format['schema'], format['value']]) {
    if (isObject(schema)) return { field, schema };
  }
  return { field, schema: OBJECT };
}

function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
