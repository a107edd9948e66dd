import type { JsonObject } from '../json/document.ts';
import type { ReadObject } from './event.ts';
import { logprobs } from './logprobs.ts';
import type { Reading } from './reading.ts';
import {
  authored,
  blob,
  child,
  DATE,
  DIGEST,
  each,
  echo,
  error,
  finish,
  indexOf,
  isObject,
  listOf,
  members,
  model,
  nested,
  object,
  type Rule,
  shaped,
  text,
  unknown,
  word,
} from './rules.ts';
import { count, exactUsage } from './usage.ts';

/** Ollama replies have one choice; its channels are named as in the other dialects. */
const CHOICE = 'choice:0';

/** The host that a model is served from elsewhere: an address of the upstream, which never leaves. */
const address: Rule = (r, value, at, key, base) => {
  if (typeof value !== 'string' || typeof key !== 'string') return unknown(r, value, at, key, base);
  if (value !== '') r.addresses.push({ at, key });
};

const call = members({ name: text('tool-name', 'name', 'whole'), arguments: authored('tool-arguments', 'arguments') });

/** Calls come whole, often without a number, in one line or in several: they are numbered as they come. */
const toolCalls: Rule = each(
  'tool',
  members({
    id: shaped(/^[\w.:-]{1,128}$/),
    type: word,
    function: object((r, value, place) => {
      const index = indexOf(r, value['index'], r.session.tools);
      r.session.tools = Math.max(r.session.tools, index) + 1;
      call(r, value, place, child(CHOICE, 'tool', index));
    }),
  }),
);

const message = object(
  members({
    role: word,
    content: text('text', 'text'),
    thinking: text('reasoning', 'reasoning'),
    images: listOf(blob),
    tool_name: text('tool-name', 'name', 'whole'),
    tool_calls: toolCalls,
  }),
);

const answer = members({
  model,
  remote_model: model,
  remote_host: address,
  created_at: shaped(DATE),
  message,
  response: text('text', 'text'),
  thinking: text('reasoning', 'reasoning'),
  image: blob,
  done_reason: finish,
  // The whole conversation once more, as token ids.
  context: echo,
  logprobs,
  error,
});

/** Chat and generate: a line of a stream, or a whole reply. */
export const readAnswer: ReadObject = (r, root) => {
  answer(r, root, null, CHOICE);
  if (root['done'] === true) {
    r.isLast = true;
    readCounts(r, root);
  }
};

function readCounts(r: Reading, root: JsonObject): void {
  r.usage = exactUsage(count(root['prompt_eval_count']), count(root['eval_count']), null);
}

const vectors = members({ model, error, embedding: listOf(blob), embeddings: listOf(listOf(blob)) });

/** Embed and embeddings: vectors carry no text. */
export const readVectors: ReadObject = (r, root) => {
  vectors(r, root, null, '');
  readCounts(r, root);
};

/** A vocabulary of a hundred thousand words is one text; where a guard changes it, it goes as a whole. */
const vocabulary: Rule = (r, value, at, key, base) => {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return unknown(r, value, at, key, base);
  const place = r.enter(at, key);
  if (place === null) return;
  r.add(`model_info.${key}`, 'annotation', 'whole', value.join('\n'), 'echo', at, r.echoes.length);
  r.echoes.push({ owner: place, at, key, empty: '[]' });
};

const description = members({
  model,
  remote_model: model,
  remote_host: address,
  modified_at: shaped(DATE),
  error,
  details: nested('annotation', 'details'),
  model_info: nested('annotation', 'model_info', { 'tokenizer.ggml.tokens': vocabulary, 'tokenizer.ggml.merges': vocabulary }),
  messages: each('message', members({ role: word, content: text('annotation', 'text'), images: listOf(blob) })),
});

/** Show: what a model is made of. All of it is text of whoever made the model. */
export const readDescription: ReadObject = (r, root) => description(r, root, null, '');

const progress = members({ status: text('annotation', 'status', 'whole'), digest: shaped(DIGEST), error });

/** Pull, push and create: lines of progress; copy and delete: an empty body. */
export const readProgress: ReadObject = (r, root) => {
  progress(r, root, null, '');
  if (root['status'] === 'success') r.isLast = true;
  if (isObject(root['error']) || typeof root['error'] === 'string') r.isError = true;
};
