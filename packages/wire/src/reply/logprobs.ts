import type { JsonValue } from '../json/document.ts';
import type { Reading } from './reading.ts';
import { isObject, type Rule } from './rules.ts';
import type { Place } from './splice.ts';

/** The words of a log-probability table, gathered over its entries. */
interface Words {
  /** The tokens of the reply, in order: together they repeat its text. */
  readonly tokens: string[];
  /** What else could be read: alternatives that were not chosen, and bytes that say something other than their token. */
  readonly others: string[];
  readonly bytes: number[];
  readonly otherBytes: number[];
}

const FIELDS = new Set(['token', 'logprob', 'bytes', 'top_logprobs', 'tokens', 'token_logprobs', 'text_offset', 'content', 'refusal']);

/**
 * Log-probabilities repeat the reply token by token, as words and as bytes, beside words that the model did not choose. They are
 * inspected as one growing text, and emptied whole where a text of their owner (the object that holds them) changes: a table with some
 * tokens taken out would still tell what they were. Shapes: `{content: [...], refusal: [...]}` (chat), `{tokens, top_logprobs: [{word: number}]}`
 * (completions), `[{token, bytes, top_logprobs}]` (responses, Ollama).
 */
export const logprobs: Rule = (r, value, at, key, base) => {
  if (Array.isArray(value) && value.length === 0) return;
  const words: Words = { tokens: [], others: [], bytes: [], otherBytes: [] };
  gather(r, value, at, key, '', false, words);
  const echo = r.echoes.length;
  r.echoes.push({ owner: at, at, key, empty: Array.isArray(value) ? '[]' : 'null' });
  const tokens = words.tokens.join('');
  // Bytes that say the same as the words beside them need no second look.
  const alternatives = words.others.join('');
  const said = Buffer.from(words.bytes).toString('utf8');
  const saidOtherwise = Buffer.from(words.otherBytes).toString('utf8');
  if (said !== tokens && said !== '') words.others.push(said);
  if (saidOtherwise !== alternatives && saidOtherwise !== '') words.others.push(saidOtherwise);
  const channel = base === '' ? 'logprobs' : `${base}/logprobs`;
  r.add(channel, 'annotation', r.mode, tokens, 'echo', at, echo);
  r.add(`${channel}/others`, 'annotation', 'whole', words.others.join('\n'), 'echo', at, echo);
};

function gather(
  r: Reading,
  value: JsonValue,
  at: Place | null,
  key: string | number,
  field: string,
  isAlternative: boolean,
  words: Words,
): void {
  if (typeof value === 'string') {
    if (!isAlternative && (field === 'token' || field === 'tokens')) words.tokens.push(value);
    else words.others.push(value);
  } else if (typeof value === 'number') {
    if (field === 'bytes') (isAlternative ? words.otherBytes : words.bytes).push(value);
  } else if (Array.isArray(value)) {
    const list = r.enter(at, key);
    if (list === null) return;
    for (let position = 0; position < value.length; position++)
      gather(r, value[position] ?? null, list, position, field, isAlternative, words);
  } else if (isObject(value)) {
    const place = r.enter(at, key);
    if (place === null) return;
    for (const name in value) {
      r.members++;
      if (!FIELDS.has(name)) words.others.push(name);
      gather(r, value[name] ?? null, place, name, name, isAlternative || name === 'top_logprobs', words);
    }
  }
}
