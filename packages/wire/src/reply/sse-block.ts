import { ID, WORD } from './rules.ts';

/** A line that is not payload: a comment, an unknown field, or a known one with an odd value. Offsets are UTF-16 units of the source. */
export interface OtherLine {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface DataLine {
  readonly start: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Behind the line end. */
  readonly next: number;
}

const LINE_BREAKS = /[\r\n]+/g;

/** One event of an event stream, parsed as WHATWG HTML section 9.2.6 says, and able to be written again with only its payload changed. */
export class SseBlock {
  /** The payload: values of all `data` lines joined by LF; null where the event has none and a client ignores it. */
  readonly data: string | null;
  readonly event: string;
  readonly others: readonly OtherLine[];
  /** A field that lenient clients take for `data`, or the `error:` line of early llama.cpp servers. */
  readonly isMalformed: boolean;
  readonly isError: boolean;
  readonly #source: string;
  readonly #dataLines: readonly DataLine[];

  /** `source` is the decoded event. A byte order mark is skipped at the start of a stream only. */
  constructor(source: string, isFirst: boolean) {
    this.#source = source;
    const dataLines: DataLine[] = [];
    const others: OtherLine[] = [];
    let event = '';
    let isMalformed = false;
    let isError = false;
    let lf = -1;
    let cr = -1;
    let start = isFirst && source.charCodeAt(0) === 0xfeff ? 1 : 0;
    while (start < source.length) {
      // The two searches leapfrog, so that the source is passed over once whatever its line ends are.
      if (lf < start) lf = offsetOf(source, '\n', start);
      if (cr < start) cr = offsetOf(source, '\r', start);
      const end = Math.min(lf, cr);
      const next = source.charCodeAt(end) === 13 && source.charCodeAt(end + 1) === 10 ? end + 2 : end + 1;
      if (source.startsWith('data:', start)) {
        const valueStart = source.charCodeAt(start + 5) === 32 ? start + 6 : start + 5;
        dataLines.push({ start, valueStart: Math.min(valueStart, end), valueEnd: end, next });
      } else if (end > start) {
        const line = source.slice(start, end);
        const colon = line.indexOf(':');
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
        if (name === 'data') dataLines.push({ start, valueStart: end, valueEnd: end, next });
        else if (name === 'event') event = value;
        if (!isHarmless(name, value)) others.push({ start, end, text: name === '' || name === 'event' ? value : line });
        if (name === 'error') isError = true;
        if (name !== 'data' && name.replace(/[^A-Za-z]/g, '').toLowerCase() === 'data') isMalformed = true;
      }
      start = next;
    }
    this.#dataLines = dataLines;
    this.others = others;
    this.event = event;
    this.isMalformed = isMalformed;
    this.isError = isError;
    this.data = joined(source, dataLines);
  }

  /**
   * The event with another payload (null: the same) and other lines replaced by comments. A payload of several lines becomes one `data`
   * line; its line breaks are white space between JSON tokens.
   */
  render(data: string | null, others: ReadonlyMap<number, string>): string {
    const cuts: { readonly start: number; readonly end: number; readonly text: string }[] = [];
    if (data !== null) {
      for (const [n, line] of this.#dataLines.entries()) {
        if (n > 0) cuts.push({ start: line.start, end: line.next, text: '' });
        else if (this.#dataLines.length === 1) cuts.push({ start: line.valueStart, end: line.valueEnd, text: data });
        else cuts.push({ start: line.valueStart, end: line.valueEnd, text: data.replace(LINE_BREAKS, ' ') });
      }
    }
    for (const [n, text] of others) {
      const line = this.others[n];
      if (line !== undefined) cuts.push({ start: line.start, end: line.end, text: `: ${text.replace(LINE_BREAKS, ' ')}` });
    }
    cuts.sort((a, b) => a.start - b.start);
    let result = '';
    let copied = 0;
    for (const cut of cuts) {
      result += this.#source.slice(copied, cut.start) + cut.text;
      copied = cut.end;
    }
    return result + this.#source.slice(copied);
  }
}

function offsetOf(source: string, character: string, from: number): number {
  const offset = source.indexOf(character, from);
  return offset < 0 ? source.length : offset;
}

function joined(source: string, lines: readonly DataLine[]): string | null {
  const [first] = lines;
  if (first === undefined) return null;
  if (lines.length === 1) return first.valueStart === first.valueEnd ? null : source.slice(first.valueStart, first.valueEnd);
  const data = lines.map((line) => source.slice(line.valueStart, line.valueEnd)).join('\n');
  return data === '' ? null : data;
}

/** Lines that carry no words: keep-alive comments, event names and ids of the usual shape, reconnection times. */
function isHarmless(name: string, value: string): boolean {
  switch (name) {
    case '':
      return value.trim() === '';
    case 'data':
      return true;
    case 'event':
      return value === '' || WORD.test(value);
    case 'id':
      return value === '' || ID.test(value);
    case 'retry':
      return /^\d{1,9}$/.test(value);
    default:
      return false;
  }
}
