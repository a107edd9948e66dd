/** A line that is a canonical entry in form. What it states is not yet verified. */
export interface EntryLine {
  readonly seq: number;
  readonly time: string;
  readonly prev: string;
  readonly hash: string;
  /** The line without its member `hash`: the Merkle leaf. */
  readonly leaf: string;
  /** UTF-16 units of the leaf before the place of that member. */
  readonly head: number;
}

/*
 * The grammar of a line, written from the published schema and not from the serialiser, which it is there to check. Every
 * alternative begins with a different character and no repetition is nested in one that could match the same text, so matching takes
 * one pass whatever an attacker wrote.
 */
const STRING = String.raw`"[^"\\\x00-\x1f]*(?:\\["\\][^"\\\x00-\x1f]*)*"`;
const COUNT = '(?:0|[1-9][0-9]{0,15})';
const NUMBER = String.raw`-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-][0-9]+)?`;
const BOOLEAN = '(?:true|false)';
/**
 * A hash, of which `parseLine` checks the length: counting in the expression takes three times as long. As `[0-9a-f]` its digits fall into
 * two ranges at random, which a processor cannot foresee; that took as long as all the rest of the line. So it is asked first that none is
 * of what lies between the two.
 */
const HEX = String.raw`"(?=[^":-\x60]*")([0-f]*)"`;
const KEY = '"[a-z][A-Za-z0-9_.-]{0,63}"';
const TIME = String.raw`"([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z)"`;

const member = (name: string, value: string): string => `"${name}":${value}`;
const object = (...parts: string[]): string => String.raw`\{${parts.join(',')}\}`;
const nullable = (value: string): string => `(?:null|${value})`;
const list = (item: string): string => `(?:${item}(?:,${item})*)?`;
const oneOf = (...words: string[]): string => `"(?:${words.join('|')})"`;

const scalar = `${KEY}:(?:${STRING}|${NUMBER}|${BOOLEAN}|null)`;
const verdict = object(member('action', STRING), member('category', STRING), member('count', COUNT), member('detector', STRING));

const HEAD = [
  member('action', STRING),
  member('decision', nullable(object(member('effect', oneOf('permit', 'deny')), member('rule', STRING)))),
  member('detail', String.raw`\{${list(scalar)}\}`),
  member('digest', object(member('prompt', nullable(HEX)), member('reply', nullable(HEX)))),
  member('fault', nullable(STRING)),
].join(',');

const TAIL = [
  member('id', STRING),
  member('kind', oneOf('request', 'auth', 'decision', 'change', 'tool', 'finding', 'system')),
  member('latency', nullable(object(member('overhead', NUMBER), member('total', NUMBER), member('ttft', nullable(NUMBER))))),
  member('model', nullable(object(member('artifact', nullable(STRING)), member('name', STRING), member('upstream', nullable(STRING))))),
  member('outcome', oneOf('open', 'answered', 'refused', 'blocked', 'failed', 'cut', 'abandoned', 'done')),
  member('prev', HEX),
  member(
    'principal',
    nullable(
      object(
        member('credential', STRING),
        member('id', STRING),
        member('kind', oneOf('person', 'application', 'workload')),
        member('tenant', STRING),
      ),
    ),
  ),
  member('resource', nullable(STRING)),
  member('seq', `(${COUNT})`),
  member('source', nullable(object(member('ip', STRING), member('port', COUNT), member('tls', nullable(STRING))))),
  member('time', TIME),
  member('usage', nullable(object(member('cached', COUNT), member('exact', BOOLEAN), member('input', COUNT), member('output', COUNT)))),
  member('verdicts', String.raw`\[${list(verdict)}\]`),
].join(',');

const LINE = new RegExp(String.raw`^(\{${HEAD}),"hash":${HEX}(,${TAIL}\})$`);
const HEX_LENGTH = 64;

/** Null where the line is not a canonical entry. */
export function parseLine(line: string): EntryLine | null {
  const found = LINE.exec(line);
  if (found === null) return null;
  // Read by number: to take a match apart as a list goes through its iterator, for each line of a log.
  const [head = '', hash = '', tail = '', prev = '', time = ''] = [found[1], found[4], found[5], found[6], found[8]];
  const [prompt, reply, seq] = [found[2], found[3], found[7]];
  if (hash.length !== HEX_LENGTH || prev.length !== HEX_LENGTH) return null;
  if ((prompt !== undefined && prompt.length !== HEX_LENGTH) || (reply !== undefined && reply.length !== HEX_LENGTH)) return null;
  return { seq: Number(seq), time, prev, hash, leaf: head + tail, head: head.length };
}
