import type { GuardSettings } from './snapshot.ts';

/** Ready-made policies. `balanced` is the default; what is weaker than it is an unsafe choice. */
export const GUARD_PACKS = ['strict', 'balanced', 'observe'] as const;
export type GuardPack = (typeof GUARD_PACKS)[number];

/** Endpoints whose bodies are inspected: what an override may name. A test of the gateway compares them with what it serves. */
export const INSPECTED_ENDPOINTS = [
  'openai.chat',
  'openai.completions',
  'openai.responses',
  'openai.embeddings',
  'openai.rerank',
  'anthropic.messages',
  'anthropic.count-tokens',
  'ollama.chat',
  'ollama.generate',
  'ollama.embed',
  'ollama.embeddings',
] as const;

/** What the guard does for some calls in place of what it does for all. Null is every one; the first override that applies stands alone. */
export interface GuardOverride {
  readonly name: string;
  /** Public model names or globs, as the client asked: a fallback does not change the policy. */
  readonly models: readonly string[] | null;
  readonly endpoints: readonly string[] | null;
  /** The caller holds one of them. */
  readonly roles: readonly string[] | null;
  readonly tenants: readonly string[] | null;
  /** Whole: what the override leaves out was taken from the settings it stands in for. Has no overrides of its own. */
  readonly settings: GuardSettings;
}

/** What the words of a reply have to be. Lengths are UTF-16 units of what the client gets. */
export interface ReplyContract {
  /** JSON Schema (2020-12), or null where the reply need not be JSON. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  /** Whether a reply also has to be the JSON that its request asks for (`response_format` and the like); absent is no. */
  readonly requested?: boolean;
  /** ISO 639-1; any where the list is empty. */
  readonly languages: readonly string[];
  readonly minLength: number;
  readonly maxLength: number | null;
  /** Whether what can be repaired safely is. */
  readonly repair: boolean;
  readonly onBreach: 'refuse' | 'flag';
}

/** A model served over HTTP that is asked about what the guard finds suspicious. Times are milliseconds. */
export interface ClassifierSettings {
  /** `chat` asks a guard model over the OpenAI chat API, `score` a service that answers `{ "score": 0.93 }`. */
  readonly kind: 'chat' | 'score';
  /** The whole URL of the endpoint. */
  readonly url: string;
  readonly model: string | null;
  /** System message of `chat`, where the model wants one (the name of a risk, for Granite Guardian). */
  readonly instructions: string | null;
  /** By reference (`env:`, `file:`). */
  readonly credential: string | null;
  readonly timeout: number;
  /** Score from which on a text is unsafe. */
  readonly threshold: number;
  readonly maxConcurrency: number;
  /** How long an opinion is remembered. */
  readonly remember: number;
  /** Without an opinion the text is blocked, or the guard's own verdict stands. */
  readonly onUnavailable: 'block' | 'local';
}

/** A false positive that an operator allows: what one detector finds in one text, for one tenant. */
export interface GuardAllowance {
  readonly id: string;
  readonly tenant: string;
  readonly detector: string;
  readonly category: string;
  /** HMAC-SHA-256 of the text, hex. */
  readonly digest: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Probabilities from which on the classifier reports and blocks, for every length, in place of those that were calibrated by length. */
export interface ScoreThresholds {
  readonly flag?: number;
  readonly block?: number;
}
