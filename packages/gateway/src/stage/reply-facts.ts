import type { ReplyEvent, ReplyText } from '@sallyport/wire';

/** A tool the model asks for. `parameters` are names and shapes, masked; `raw` is for a keyed digest and goes nowhere else. */
export interface ToolCall {
  readonly name: string;
  readonly parameters: string;
  readonly raw: string;
}

/** Calls of one reply that are told apart, and UTF-16 units of arguments that are kept of each. */
const MAX_CALLS = 32;
const MAX_ARGUMENTS = 16_384;
/** One more than a name may have: a longer one is none. */
const MAX_NAME = 129;
/** Characters of a reply's beginning that are looked at. */
const OPENING = 80;
const MAX_PARAMETERS = 32;
const MAX_DEPTH = 3;
/** Units of `parameters` in an entry. */
const MAX_DESCRIPTION = 480;

/** What models of all makers begin a refusal with in English; in other languages only the reply's own structure tells. */
const REFUSAL =
  /^\s*(?:i['’]?m (?:very |so )?sorry|sorry[,.]|i (?:can['’]t|cannot|am unable|am not able|won['’]t|must decline)|as an ai\b)/i;
const REFUSED = new Set(['refusal', 'content_filter', 'safety']);
const TRUNCATED = new Set(['length', 'max_tokens', 'max_output_tokens', 'model_length', 'model_context_window_exceeded']);
/** Ollama was asked to load or unload a model, not to say something. */
const NOTHING_ASKED = new Set(['load', 'unload']);

/** A position in a reply: `choice:0/tool:1` of `choice:0/tool:1/arguments`. */
const BASE = /^[a-z_]+:\d+(?:\/[a-z_]+:\d+)*/;
/** Names a program wrote; of others an entry says only that they are there. */
const PROGRAM_NAME = /^[A-Za-z_$][\w$-]{0,63}$/;
/** The same of tools; servers of tools put their own name before it. */
const TOOL_NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_./:-]{0,127}$/u;

interface Call {
  name: string;
  argumentText: string;
  /** Of arguments that came as an object: paths and shapes of what was seen. */
  readonly seen: string[];
}

/** What the ledger says of a reply beside its digest: how it ended, and which tools it asks for. Never what it says. */
export class ReplyFacts {
  #finish: string | null = null;
  #refused = false;
  #opening = '';
  readonly #calls = new Map<string, Call>();

  // The model's words enter here.
  take(event: ReplyEvent): void {
    if (event.finish != null) this.#finish = event.finish;
    for (const text of event.texts) {
      if (text.kind === 'text') {
        if (this.#opening.length < OPENING) this.#opening = (this.#opening + text.text).slice(0, OPENING);
      } else if (text.kind === 'refusal') this.#refused = true;
      else if (text.kind === 'tool-name' || text.kind === 'tool-arguments') this.#takeCall(text);
    }
  }

  /** `null` for an ordinary reply. */
  get output(): 'refusal' | 'truncated' | null {
    if (this.#refused || (this.#finish !== null && REFUSED.has(this.#finish)) || REFUSAL.test(this.#opening)) return 'refusal';
    return this.#finish !== null && TRUNCATED.has(this.#finish) ? 'truncated' : null;
  }

  /** The model was asked to say something and neither said a word nor called a tool. */
  get isSilent(): boolean {
    return this.#opening === '' && this.#calls.size === 0 && !NOTHING_ASKED.has(this.#finish ?? '');
  }

  get callsTools(): boolean {
    return this.#calls.size > 0;
  }

  calls(): ToolCall[] {
    return Array.from(this.#calls.values(), ({ name, argumentText, seen }) => ({
      name: name === '' ? '-' : TOOL_NAME.test(name) ? name : '*',
      parameters: (argumentText === '' ? seen : describe(argumentText)).join(', ').slice(0, MAX_DESCRIPTION),
      raw: argumentText,
    }));
  }

  #takeCall({ channel, kind, mode, text }: ReplyText): void {
    const base = BASE.exec(channel)?.[0] ?? '';
    let call = this.#calls.get(base);
    if (call === undefined) {
      if (this.#calls.size >= MAX_CALLS) return;
      call = { name: '', argumentText: '', seen: [] };
      this.#calls.set(base, call);
    }
    const rest = channel.slice(base.length + 1);
    if (kind === 'tool-name') call.name = (mode === 'delta' ? call.name + text : text).slice(0, MAX_NAME);
    else if (/^[a-z_]+$/.test(rest)) call.argumentText = (mode === 'delta' ? call.argumentText + text : text).slice(0, MAX_ARGUMENTS);
    else if (!rest.endsWith('#name') && call.seen.length < MAX_PARAMETERS) {
      const path = rest.slice(rest.indexOf('.') + 1).split('.');
      call.seen.push(`${path.map(safeName).join('.')}:string(${text.length})`);
    }
  }
}

/** `path:string(23), deep:boolean`: which parameters, of what kind and length. Values are nobody's business here. */
function describe(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [`unparsed(${text.length})`];
  }
  const found: string[] = [];
  walk(value, '', 0, found);
  return found;
}

function walk(value: unknown, path: string, depth: number, found: string[]): void {
  if (found.length >= MAX_PARAMETERS) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || depth >= MAX_DEPTH) {
    found.push(path === '' ? shapeOf(value) : `${path}:${shapeOf(value)}`);
    return;
  }
  for (const [key, item] of Object.entries(value)) walk(item, path === '' ? safeName(key) : `${path}.${safeName(key)}`, depth + 1, found);
}

function shapeOf(value: unknown): string {
  if (typeof value === 'string') return `string(${value.length})`;
  if (Array.isArray(value)) return `array(${value.length})`;
  return value === null ? 'null' : typeof value;
}

/** The model writes the names too. */
function safeName(name: string): string {
  return PROGRAM_NAME.test(name) ? name : '*';
}
