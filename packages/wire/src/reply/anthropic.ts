import type { ReadObject } from './event.ts';
import {
  authored,
  blob,
  child,
  each,
  error,
  finish,
  id,
  indexOf,
  type Members,
  members,
  model,
  nested,
  object,
  type Rule,
  text,
  unknownDelta,
  word,
} from './rules.ts';
import { anthropicUsage } from './usage.ts';

const sealed = { type: word, encrypted_content: blob, encrypted_index: blob, file_id: id, tool_use_id: id };

/** A content block, and what is added to one. The kinds share their member names, so one table reads them all, known kind or not. */
const blockFields: Readonly<Record<string, Rule>> = {
  type: word,
  id,
  tool_use_id: id,
  name: text('tool-name', 'name', 'whole'),
  text: text('text', 'text'),
  thinking: text('reasoning', 'thinking'),
  signature: blob,
  data: blob,
  input: authored('tool-arguments', 'arguments'),
  partial_json: text('tool-arguments', 'arguments'),
  citations: nested('annotation', 'citations', sealed),
  citation: nested('annotation', 'citation', sealed),
  content: nested('tool-result', 'result', sealed),
  caller: nested('annotation', 'caller', { type: word, tool_id: id }),
};

const block: Members = members(blockFields);
const blockDelta = object(members(blockFields, unknownDelta));
const content: Rule = each('block', block);

/** What ends a message. A stop sequence is text: the client's own, but it was matched in the reply. */
const ending: Readonly<Record<string, Rule>> = {
  stop_reason: finish,
  stop_details: nested('annotation', 'stop_details', { type: word, category: word }),
};

const message: Members = members({ ...ending, id, type: word, role: word, model, content, usage: anthropicUsage, error });

/** Reads a whole message, or an error in its place. */
export const readMessage: ReadObject = (r, root) => {
  message(r, root, null, '');
  if (root['type'] === 'error') r.isError = true;
};

const event: Members = members({
  type: word,
  // Blocks come later, one by one, and are numbered from 0: what a start already holds is kept apart from them.
  message: object((r, value, place) => message(r, value, place, 'start')),
  content_block: object(block),
  delta: blockDelta,
  usage: anthropicUsage,
  error,
});
const messageDelta: Members = members({ type: word, delta: object(members(ending)), usage: anthropicUsage });

/** Reads an event of a message stream. */
export const readMessageEvent: ReadObject = (r, root) => {
  const type = root['type'];
  const base = child('', 'block', indexOf(r, root['index'], 0));
  if (type === 'message_start') r.mode = 'whole';
  (type === 'message_delta' ? messageDelta : event)(r, root, null, base);
  if (type === 'content_block_stop') r.closes.push(base);
  else if (type === 'message_stop') r.isDone = true;
  else if (type === 'error') r.isError = true;
};

const tokenCount: Members = members({ error });

/** Reads the answer to a count of tokens, which has no text. */
export const readTokenCount: ReadObject = (r, root) => {
  tokenCount(r, root, null, '');
  if (root['type'] === 'error') r.isError = true;
};
