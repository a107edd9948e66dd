import type { Action, AddressedText, Usage } from '@sallyport/core';
import type { JsonDocument } from './json/document.ts';
import type { ReplyFormat } from './reply/format.ts';

export type Dialect = 'openai' | 'anthropic' | 'ollama';

export type EndpointId =
  | 'openai.chat'
  | 'openai.completions'
  | 'openai.responses'
  | 'openai.embeddings'
  | 'openai.rerank'
  | 'openai.models'
  | 'openai.model'
  | 'anthropic.messages'
  | 'anthropic.count-tokens'
  | 'ollama.chat'
  | 'ollama.generate'
  | 'ollama.embed'
  | 'ollama.embeddings'
  | 'ollama.tags'
  | 'ollama.version'
  | 'ollama.show'
  | 'ollama.ps'
  | 'ollama.pull'
  | 'ollama.push'
  | 'ollama.create'
  | 'ollama.copy'
  | 'ollama.delete';

/** One row of the table of everything the data plane serves. What has no row is 404, whatever the upstream would answer. */
export interface Endpoint {
  readonly id: EndpointId;
  readonly dialect: Dialect;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Exact path, except `openai.model`, which ends in `/` and takes the rest as the model name. */
  readonly path: string;
  /** The permission a caller needs; decided before the body is looked at for anything but its model name. */
  readonly action: Action;
  /** Parses and validates a body; null where the endpoint takes none. Throws `Fault` (`invalid_request`, ...) naming the field. */
  readonly parse: ((body: Buffer, limits: RequestLimits) => ParsedRequest) | null;
  /** How its reply is read; null for answers Sallyport composes itself (`models`, `tags`, `version`, `ps`). */
  readonly reply: ReplyFormat | null;
}

/** Bounds on what is accepted, whatever the upstream would take. */
export interface RequestLimits {
  readonly maxDepth: number;
  readonly maxMessages: number;
  /** UTF-16 units of one string. */
  readonly maxStringLength: number;
  /** JSON values (members, elements) in one body; an empty container counts as two. */
  readonly maxValues: number;
}

/** 50,000 values are more than clients send, and bound what a hostile body costs to parse and to inspect. */
export const DEFAULT_REQUEST_LIMITS: RequestLimits = { maxDepth: 64, maxMessages: 4096, maxStringLength: 8_388_608, maxValues: 50_000 };

/** A body that was read and found well formed. The original bytes stay the truth: what is forwarded is `json.bytes` with edits spliced in. */
export interface ParsedRequest {
  readonly json: JsonDocument;
  /** The public model name the client asked for. */
  readonly model: string;
  /** Where it stands in the body (`['model']`, or Ollama's older `['name']`), so that the upstream's own name can be put there. */
  readonly modelPath: readonly (string | number)[];
  /** Further model names a management verb touches (`from` of create, `destination` of copy): the caller needs the permission on each. */
  readonly otherModels?: readonly string[];
  readonly stream: boolean;
  readonly texts: readonly AddressedText[];
  readonly references: readonly Reference[];
  readonly restricted: readonly RestrictedField[];
  readonly bounds: RequestBounds;
}

export interface RequestBounds {
  /** What the client caps the output at, or null. */
  readonly maxOutputTokens: number | null;
  /** `n` or `best_of`, whichever is larger, times the number of prompts where a body holds several. */
  readonly choices: number;
}

/**
 * A URL or inline blob the upstream might fetch or decode. The gateway never fetches it. `server` is a machine that the upstream would
 * talk to: a remote MCP server, a model registry.
 */
export interface Reference {
  readonly address: string;
  readonly kind: 'image' | 'file' | 'audio' | 'video' | 'server';
  /** `data:` URLs and inline base64 are `inline`; an id of a stored file is `stored`; anything else is `remote`. */
  readonly source: 'inline' | 'remote' | 'stored';
  /** The URL of a remote reference exactly as the client wrote it (attacker's data), else null. */
  readonly url: string | null;
}

/** A field that can carry an instruction to the upstream past a policy; it needs `action`. Reasons: docs/restricted-fields.md. */
export interface RestrictedField {
  readonly address: string;
  readonly action: Action;
  readonly reason: string;
}

export type { Usage };
