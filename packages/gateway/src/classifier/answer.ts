import type { ClassifierSettings, Provenance } from '@sallyport/core';

/** What a classifier says of a text. `category` is a code of its own (`s1`) or `unsafe`. */
export type Opinion = { readonly safe: true } | { readonly safe: false; readonly category: string };

/** Tokens of an answer: a label and a list of codes. */
const MAX_TOKENS = 32;
/** Llama Guard: `safe`, or `unsafe` and the codes of what it breaks. */
const LLAMA = /^(safe|unsafe)(?:\s+(s\d{1,2})(?:\s*,\s*s\d{1,2})*)?$/;
/** Granite Guardian and ShieldGemma: whether there is a risk; newer ones within marks, after a thought that is empty, and with a confidence. */
const YES_NO = /^(?:<think>\s*<\/think>\s*)?(?:<score>\s*)?(yes|no)(?:\s*<\/score>)?(?:\s*<confidence>\s*(?:high|low)\s*<\/confidence>)?$/;

/** The request that shows it a text, as JSON. */
export function ask({ kind, model, instructions }: ClassifierSettings, text: string, provenance: Provenance): string {
  if (kind === 'score') return JSON.stringify({ text, provenance });
  const system = instructions === null ? [] : [{ role: 'system', content: instructions }];
  return JSON.stringify({
    model,
    messages: [...system, { role: 'user', content: text }],
    max_tokens: MAX_TOKENS,
    temperature: 0,
    stream: false,
  });
}

/**
 * Reads an answer, null where it is none: what is not exactly a verdict is not taken for one, so that a model which begins to chat
 * (`No problem, …`) does not say that a text is safe.
 */
export function readAnswer({ kind, threshold }: ClassifierSettings, body: Buffer): Opinion | null {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return null; // said by the caller: it cannot be read
  }
  if (kind === 'score') {
    const score = member(answer, 'score');
    if (typeof score !== 'number' || !(score >= 0 && score <= 1)) return null;
    return score >= threshold ? { safe: false, category: 'unsafe' } : { safe: true };
  }
  const choices = member(answer, 'choices');
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const content = member(member(first, 'message'), 'content');
  return typeof content === 'string' ? readLabel(content) : null;
}

function readLabel(content: string): Opinion | null {
  const label = content.slice(0, 256).trim().toLowerCase();
  const llama = LLAMA.exec(label);
  if (llama !== null) return llama[1] === 'safe' ? safeAlone(llama[2]) : { safe: false, category: llama[2] ?? 'unsafe' };
  const risk = YES_NO.exec(label)?.[1];
  if (risk === undefined) return null;
  return risk === 'no' ? { safe: true } : { safe: false, category: 'unsafe' };
}

/** `safe` with codes contradicts itself. */
function safeAlone(code: string | undefined): Opinion | null {
  return code === undefined ? { safe: true } : null;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}
