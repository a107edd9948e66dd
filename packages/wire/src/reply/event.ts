import { isUtf8 } from 'node:buffer';
import type { Usage } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import type { ReplyEvent, ReplyText } from './format.ts';
import { Reading, type Session, type Spot } from './reading.ts';
import { isObject } from './rules.ts';
import { countMembers, type JsonTextEdit, type Place, splice } from './splice.ts';
import { SseBlock } from './sse-block.ts';

/** Reads the JSON object of one event or of a whole reply into `reading`. */
export type ReadObject = (reading: Reading, root: JsonObject) => void;

/** Puts an event's payload back into its frame. */
interface Frame {
  render(json: string | null, lines: ReadonlyMap<number, string>): string;
}

const NO_TEXTS: readonly ReplyText[] = Object.freeze([]);
const NO_CHANNELS: readonly string[] = Object.freeze([]);
const NO_LINES: ReadonlyMap<number, string> = new Map();

/** An event without anything to inspect or change. */
export class BareEvent implements ReplyEvent {
  readonly raw: Buffer;
  readonly kind: ReplyEvent['kind'];
  readonly texts: readonly ReplyText[] = NO_TEXTS;
  readonly usage: Usage | null = null;
  readonly closes: readonly string[];
  readonly model: string | null = null;

  constructor(raw: Buffer, kind: ReplyEvent['kind'], closes: readonly string[] = NO_CHANNELS) {
    this.raw = raw;
    this.kind = kind;
    this.closes = closes;
  }

  rewrite(): Buffer {
    return this.raw;
  }
}

/** An event whose payload (or comment lines) was read. */
export class ReadEvent implements ReplyEvent {
  readonly raw: Buffer;
  readonly kind: ReplyEvent['kind'];
  readonly texts: readonly ReplyText[];
  readonly usage: Usage | null;
  readonly closes: readonly string[];
  readonly model: string | null;
  readonly finish: string | null;
  readonly #reading: Reading;
  readonly #frame: Frame;

  constructor(raw: Buffer, kind: ReplyEvent['kind'], reading: Reading, frame: Frame, closes: readonly string[]) {
    this.raw = raw;
    this.kind = kind;
    this.texts = reading.texts;
    this.usage = reading.usage;
    this.finish = reading.reason;
    this.closes = closes;
    this.model = reading.lines > 0 ? '' : (reading.models[0]?.name ?? (reading.addresses.length > 0 ? '' : null));
    this.#reading = reading;
    this.#frame = frame;
  }

  rewrite(texts: ReadonlyMap<number, string>, model: string | null): Buffer {
    const reading = this.#reading;
    const edits: JsonTextEdit[] = [];
    const changed: Spot[] = [];
    let lines: Map<number, string> | null = null;
    for (const [index, text] of texts) {
      const spot = reading.spots[index];
      if (spot === undefined || reading.texts[index]?.text === text) continue;
      changed.push(spot);
      if (spot.target === 'line') {
        lines ??= new Map();
        lines.set(Number(spot.key), text);
      } else if (spot.target !== 'echo') {
        edits.push({ at: spot.at, key: spot.key, target: spot.target, replacement: spot.target === 'name' ? text : JSON.stringify(text) });
      }
    }
    if (changed.length > 0) reading.session.redacted = true;
    for (const [n, echo] of reading.echoes.entries()) {
      const isStale =
        (reading.session.redacted && echo.owner === null) ||
        changed.some((spot) => (spot.target === 'echo' && spot.key === n) || (spot.target !== 'line' && isWithin(spot.at, echo.owner)));
      if (isStale) edits.push({ at: echo.at, key: echo.key, target: 'value', replacement: echo.empty });
    }
    if (model !== null) {
      for (const { at, key, name } of reading.models) {
        if (name !== model) edits.push({ at, key, target: 'value', replacement: JSON.stringify(model) });
      }
      for (const { at, key } of reading.addresses) edits.push({ at, key, target: 'value', replacement: '""' });
      if (reading.lines > 0) {
        lines ??= new Map();
        for (let n = 0; n < reading.lines; n++) lines.set(n, '');
      }
    }
    if (edits.length === 0 && lines === null) return this.raw;
    return Buffer.from(this.#frame.render(edits.length === 0 ? null : splice(reading.json, edits), lines ?? NO_LINES), 'utf8');
  }
}

function isWithin(at: Place | null, owner: Place | null): boolean {
  if (owner === null) return true;
  for (let place = at; place !== null; place = place.parent) if (place === owner) return true;
  return false;
}

/** What a payload turned out to be, before its channels were checked. */
export interface Payload {
  readonly reading: Reading;
  readonly frame: Frame;
  readonly kind: ReplyEvent['kind'];
}

/** Reads an event of an event stream. Null where it is malformed. */
export function readSse(raw: Buffer, isFirst: boolean, session: Session, read: ReadObject, isNamed: boolean): Payload | null {
  if (!isUtf8(raw)) return null;
  const block = new SseBlock(raw.toString('utf8'), isFirst);
  if (block.isMalformed) return null;
  const { data } = block;
  let reading: Reading;
  let kind: ReplyEvent['kind'];
  if (data === null || data.trim() === '[DONE]') {
    reading = new Reading('', session, true);
    reading.isDone = data !== null;
    kind = block.isError ? 'error' : data === null ? 'comment' : 'done';
  } else {
    const root = parseObject(data);
    if (root === null) return null;
    reading = new Reading(data, session, true);
    read(reading, root);
    reading.finish();
    if (reading.isMalformed || reading.members !== countMembers(data)) return null;
    // A client that goes by the name and one that goes by the type would read two different events.
    const type = root['type'];
    if (isNamed && typeof type === 'string' && block.event !== '' && block.event !== type && block.event !== 'message') return null;
    kind = block.isError || block.event === 'error' ? 'error' : kindOf(reading);
  }
  for (const [n, line] of block.others.entries()) {
    reading.add('extra:frame', 'annotation', 'whole', line.text, 'line', null, n);
  }
  reading.lines = block.others.length;
  return reading.isMalformed ? null : { reading, frame: block, kind };
}

/** Reads a JSON object with white space around it: a line of NDJSON, or the body of a whole reply. Null where it is malformed. */
export function readJson(raw: Buffer, isFirst: boolean, session: Session, streamed: boolean, read: ReadObject): Payload | null {
  if (!isUtf8(raw)) return null;
  const source = raw.toString('utf8');
  const mark = isFirst && source.charCodeAt(0) === 0xfeff ? 1 : 0;
  const json = mark === 0 ? source : source.slice(1);
  if (json.trim() === '') return { reading: new Reading('', session, streamed), frame: new JsonFrame(''), kind: 'comment' };
  const root = parseObject(json);
  if (root === null) return null;
  const reading = new Reading(json, session, streamed);
  read(reading, root);
  reading.finish();
  if (reading.isMalformed || reading.members !== countMembers(json)) return null;
  return { reading, frame: new JsonFrame(source.slice(0, mark)), kind: kindOf(reading) };
}

class JsonFrame implements Frame {
  readonly #mark: string;

  constructor(mark: string) {
    this.#mark = mark;
  }

  render(json: string | null): string {
    return this.#mark + (json ?? '');
  }
}

function kindOf(reading: Reading): ReplyEvent['kind'] {
  if (reading.isError) return 'error';
  return reading.isDone ? 'done' : 'data';
}

function parseObject(json: string): JsonObject | null {
  let value: JsonValue;
  try {
    value = JSON.parse(json);
  } catch {
    return null; // not JSON: the caller makes it a malformed event
  }
  return isObject(value) ? value : null;
}
