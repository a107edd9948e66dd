import type { JsonObject } from '../json/document.ts';
import type { ReadObject } from './event.ts';
import type { ReplyTextKind } from './format.ts';
import { logprobs } from './logprobs.ts';
import type { Reading } from './reading.ts';
import {
  authored,
  blob,
  child,
  each,
  error,
  finish,
  id,
  indexOf,
  isObject,
  listOf,
  type Members,
  members,
  model,
  nested,
  object,
  type Rule,
  shaped,
  text,
  unknown,
  unknownDelta,
  word,
} from './rules.ts';
import { responsesUsage } from './usage.ts';

const MAX_ITEMS = 1024;

const annotationFields = { type: word, file_id: id, container_id: id };
const annotations = nested('annotation', 'annotations', annotationFields);

/** A content part of a message: text or a refusal. `base` names the part. */
const messagePart: Members = members({
  type: word,
  text: text('text', 'text'),
  refusal: text('refusal', 'refusal'),
  transcript: text('transcript', 'transcript'),
  annotations,
  logprobs,
});
const reasoningPart: Members = members({ type: word, text: text('reasoning', 'reasoning') });
const summaryPart: Members = members({ type: word, text: text('reasoning', 'text') });

/** Content parts say by their type whether they are reasoning. */
const contentPart: Members = (r, part, place, base) =>
  (part['type'] === 'reasoning_text' ? reasoningPart : messagePart)(r, part, place, base);

const command = text('tool-arguments', 'command');
const commands = listOf((r, value, at, key, base) => command(r, value, at, key, child(base, 'command', Number(key))));

/** A generated image: base64 too long to be anything else. */
const image = shaped(/^[A-Za-z0-9+/]{1024,}={0,2}$/);

const output = nested('tool-result', 'output', { type: word, file_id: id });

/** Everything that stands in `output`: messages, reasoning, and calls of every kind of tool with their results. */
const itemFields: Members = members({
  id,
  type: word,
  status: word,
  role: word,
  phase: word,
  call_id: id,
  container_id: id,
  approval_request_id: id,
  content: each('content', contentPart),
  summary: each('summary', summaryPart),
  encrypted_content: blob,
  name: text('tool-name', 'name', 'whole'),
  namespace: text('tool-name', 'namespace', 'whole'),
  server_label: text('tool-name', 'server', 'whole'),
  arguments: authored('tool-arguments', 'arguments'),
  input: authored('tool-arguments', 'input'),
  code: text('tool-arguments', 'code'),
  action: nested('tool-arguments', 'action', { type: word, commands }),
  operation: nested('tool-arguments', 'operation'),
  queries: nested('tool-arguments', 'queries'),
  tools: nested('tool-result', 'tools'),
  output,
  outputs: nested('tool-result', 'outputs', { type: word }),
  results: nested('tool-result', 'results', { file_id: id }),
  result: image,
  error: nested('tool-result', 'error', { type: word, code: id }),
  revised_prompt: text('text', 'revised_prompt', 'whole'),
});

/**
 * The response object: a whole reply, and in the first and last events of a stream. It repeats the request (instructions, tools, prompt,
 * metadata), which is addressed like everything unknown: a prompt that the gateway added must not come back that way.
 */
const response: Members = members({
  // Emptied where they hold what the gateway added; else a text like any other.
  instructions: (r, value, at, key, base) => {
    if (r.session.secret) r.echoes.push({ owner: null, at, key, empty: 'null' });
    else unknown(r, value, at, key, base);
  },
  id,
  object: word,
  status: word,
  model,
  error,
  output: each('output', itemFields),
  output_text: text('text', 'output_text', 'whole'),
  previous_response_id: id,
  service_tier: word,
  truncation: word,
  tool_choice: (r, value, at, key, base) => (typeof value === 'string' ? word : unknown)(r, value, at, key, base),
  incomplete_details: object(members({ reason: finish })),
  reasoning: object(members({ effort: word, summary: word })),
  text: object(members({ verbosity: word, format: object(members({ type: word })) })),
  usage: responsesUsage,
});

/** Reads a whole reply. */
export const readResponse: ReadObject = (r, root) => {
  response(r, root, null, '');
};

/** What an event is about: the whole response, an output item, a numbered part of one, or nothing in particular. */
type Subject = 'response' | 'item' | 'content' | 'summary' | 'command' | 'annotation' | 'none';

/** How one type of event is read. */
interface Plan {
  readonly subject: Subject;
  readonly fields: Members;
  /** What is added is a beginning that deltas append to; what is done, and the response, repeats them. */
  readonly mode: 'delta' | 'whole';
  /** What ends with the event: a channel below the subject, the subject with all its channels (empty), or nothing. */
  readonly closes: string | null;
}

/** Members of every event, beside what it is about. */
const eventFields: Readonly<Record<string, Rule>> = {
  type: word,
  item_id: id,
  status: word,
  obfuscation: shaped(/^[A-Za-z0-9]{0,64}$/),
  partial_image_b64: blob,
  output_format: word,
  background: word,
  quality: word,
  logprobs,
  name: text('tool-name', 'name', 'whole'),
  response: object(response),
  error,
};

const PLANS = new Map<string, Plan>();

/** A text that grows by `delta` events and is repeated by a `done` event, under a name of its own. */
function growing(stem: string, kind: ReplyTextKind, subject: Subject, leaf: string): void {
  const whole = text(kind, leaf, 'whole');
  const repeated = { text: whole, refusal: whole, arguments: whole, input: whole, code: whole, transcript: whole, command: whole };
  const fields = members({ ...eventFields, delta: text(kind, leaf), ...repeated });
  PLANS.set(`${stem}.added`, { subject, fields, mode: 'delta', closes: null });
  PLANS.set(`${stem}.delta`, { subject, fields, mode: 'delta', closes: null });
  PLANS.set(`${stem}.done`, { subject, fields, mode: 'whole', closes: leaf });
}

growing('response.output_text', 'text', 'content', 'text');
growing('response.refusal', 'refusal', 'content', 'refusal');
growing('response.reasoning_text', 'reasoning', 'content', 'reasoning');
growing('response.reasoning_summary_text', 'reasoning', 'summary', 'text');
growing('response.function_call_arguments', 'tool-arguments', 'item', 'arguments');
growing('response.mcp_call_arguments', 'tool-arguments', 'item', 'arguments');
growing('response.mcp_call.arguments', 'tool-arguments', 'item', 'arguments');
growing('response.custom_tool_call_input', 'tool-arguments', 'item', 'input');
growing('response.code_interpreter_call_code', 'tool-arguments', 'item', 'code');
growing('response.code_interpreter_call.code', 'tool-arguments', 'item', 'code');
growing('response.shell_call_command', 'tool-arguments', 'command', 'command');
growing('response.audio.transcript', 'transcript', 'none', 'audio/transcript');

/** A piece of structure that is added and later done. */
function structure(stem: string, subject: Subject, member: string, walk: Members): void {
  const fields = members({ ...eventFields, [member]: object(walk) });
  PLANS.set(`${stem}.added`, { subject, fields, mode: 'delta', closes: null });
  PLANS.set(`${stem}.done`, { subject, fields, mode: 'whole', closes: '' });
}

structure('response.output_item', 'item', 'item', itemFields);
structure('response.content_part', 'content', 'part', contentPart);
structure('response.reasoning_summary_part', 'summary', 'part', summaryPart);

const other = members({ ...eventFields, delta: unknownDelta });
for (const state of ['created', 'queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']) {
  PLANS.set(`response.${state}`, { subject: 'response', fields: other, mode: 'whole', closes: null });
}

PLANS.set('response.output_text.annotation.added', {
  subject: 'annotation',
  fields: members({ ...eventFields, annotation: nested('annotation', '', annotationFields) }),
  mode: 'whole',
  closes: null,
});
PLANS.set('response.audio.delta', { subject: 'none', fields: members({ ...eventFields, delta: blob }), mode: 'delta', closes: null });

const shellDelta = object(members({ stdout: text('tool-result', 'stdout'), stderr: text('tool-result', 'stderr') }, unknownDelta));
const shellOutput = members({ ...eventFields, delta: shellDelta, output });
PLANS.set('response.shell_call_output_content.delta', { subject: 'command', fields: shellOutput, mode: 'delta', closes: null });
PLANS.set('response.shell_call_output_content.done', { subject: 'command', fields: shellOutput, mode: 'whole', closes: '' });

/** Types that no plan names: a `delta` in them is taken for a growing text, anything else is inspected as it comes. */
const UNKNOWN_DELTA: Plan = { subject: 'item', fields: other, mode: 'delta', closes: null };
const UNKNOWN_WHOLE: Plan = { subject: 'item', fields: other, mode: 'whole', closes: null };

const LAST = new Set(['response.completed', 'response.incomplete', 'response.failed', 'response.cancelled']);

/** Reads a typed event of the stream. */
export const readResponsesEvent: ReadObject = (r, root) => {
  const type = typeof root['type'] === 'string' ? root['type'] : '';
  const plan = PLANS.get(type) ?? (root['delta'] === undefined ? UNKNOWN_WHOLE : UNKNOWN_DELTA);
  const base = subjectBase(r, root, plan.subject);
  r.mode = plan.mode;
  plan.fields(r, root, null, base);
  if (plan.closes !== null) r.closes.push(base === '' || plan.closes === '' ? base + plan.closes : `${base}/${plan.closes}`);
  if (plan.subject === 'response') {
    const { response: state } = root;
    if (type === 'response.failed' || (isObject(state) && state['status'] === 'failed')) r.isError = true;
    r.isLast = LAST.has(type);
  } else if (type === 'error') {
    r.isError = true;
  }
};

function subjectBase(r: Reading, root: JsonObject, subject: Subject): string {
  switch (subject) {
    case 'response':
    case 'none':
      return '';
    case 'item':
      return child('', 'output', outputIndex(r, root));
    case 'content':
    case 'summary':
    case 'command':
      return child(subjectBase(r, root, 'item'), subject, indexOf(r, root[`${subject}_index`], 0));
    case 'annotation':
      return `${subjectBase(r, root, 'content')}/annotations[${indexOf(r, root['annotation_index'], 0)}]`;
  }
}

/**
 * Which output item an event is about. Some servers leave `output_index` out; the item's id then tells, in the order in which the ids
 * came up.
 */
function outputIndex(r: Reading, root: JsonObject): number {
  const { items: known } = r.session;
  const item = root['item'];
  const name = root['item_id'] ?? (isObject(item) ? item['id'] : null);
  const stated = root['output_index'];
  if (typeof name !== 'string' || known.size >= MAX_ITEMS) return indexOf(r, stated, 0);
  const before = known.get(name);
  const index = indexOf(r, stated, before ?? known.size);
  if (index !== before && name.length <= 128) known.set(name, index);
  return index;
}
