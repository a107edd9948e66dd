import { COST, LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { sliceSource } from '../source.ts';
import { type Inner, walk } from './judge.ts';
import { DENIED_ROOTS, judge, leadsToDenied } from './policy.ts';

const WINDOW = 2 ** 20;
const OVERLAP = 256;
/** Instructions that all attempts may take together: chance ends each within a few, and only a file made for it comes near. */
const BUDGET_BASE = 1_000_000;
const BUDGET_RATIO = 2;
/** Places remembered; a file that goes beyond has its walks counted against the budget. */
const PASSED = 100_000;
const GLOBAL = 0x63;
const INST = 0x69;
const DOT = 0x2e;
/** Lengths and first letters. */
const ROOT_SHAPES: ReadonlySet<number> = new Set([...DENIED_ROOTS].map((root) => 256 * root.length + root.charCodeAt(0)));
const LETTERS = 16;
const NAME = /^[A-Za-z_][\w.]{0,99}$/;

/**
 * Searches bytes that should not hold a pickle for one: at every protocol marker, and at every import written as text. Reports a dangerous
 * call and nothing less, since any bytes occur by chance; the walk of a chance match ends after a few instructions.
 * Gives true where it reported something.
 */
export function carvePickles(piece: Piece, start: number, end: number, what: string): boolean {
  const { source } = piece;
  const searched = sliceSource(source, 0, end);
  let found = false;
  let done = start;
  // What a walk passed as instructions need not be started from again: that would see the same from there on.
  const passed = new Set<number>();
  let budget = BUDGET_BASE + BUDGET_RATIO * (end - start);
  const attempt = (offset: number): void => {
    if (offset < done || passed.delete(offset)) return;
    const inner: Inner[] = [];
    const calls: { readonly message: string; readonly at: number }[] = [];
    const result = walk(
      piece,
      searched,
      offset,
      { torch: true, depth: 1 },
      (rule, message, at) => {
        if (passed.size < PASSED && (rule === 'pickle-protocol' || rule === 'pickle-dangerous-import')) passed.add(at);
        if (rule === 'pickle-dangerous-call' || rule === 'pickle-build-on-global') calls.push({ message, at });
      },
      inner,
    );
    passed.delete(offset);
    budget -= result.instructions;
    if (budget < 0) throw new LimitReached('limit-time', 'the search for hidden pickles takes too long');
    for (const { message, at } of calls) piece.report('pickle-hidden', `${what} hold a pickle that ${message}`, at);
    if (calls.length > 0) {
      found = true;
      done = result.end;
    }
  };
  for (let base = start; base < end; base += WINDOW) {
    piece.run.checkTime();
    const window = source.read(base, Math.min(WINDOW + OVERLAP, end - base));
    const stop = Math.min(WINDOW, window.length);
    for (let at = window.indexOf(0x80); at >= 0 && at < stop; at = window.indexOf(0x80, at + 1)) {
      const protocol = window[at + 1] ?? 9;
      if (protocol >= 2 && protocol <= 5) attempt(base + at);
    }
    for (let line = window.indexOf(10); line >= 0 && line < stop; line = window.indexOf(10, line + 1)) {
      const from = importBefore(window, line, piece);
      if (from >= 0) attempt(base + from);
    }
  }
  return found;
}

/** Offset of a GLOBAL or INST instruction whose module ends at the line feed `line` and whose import is denied, or -1. */
function importBefore(window: Buffer, line: number, { run }: Piece): number {
  const first = window[line - 1] ?? 0;
  if (!isName(first)) return -1;
  const next = window.indexOf(10, line + 1);
  if (next < 0 || next - line > 100) return -1;
  const name = window.toString('latin1', line + 1, next);
  if (!NAME.test(name)) return -1;
  let from = line - 1;
  while (from > 0 && line - from < 100 && isName(window[from - 1] ?? 0)) from -= 1;
  // Any `c` or `i` in the run of letters may be the instruction; what follows it is the module.
  const leads = leadsToDenied(name);
  let dot = -1;
  let letters = 0;
  for (let at = from; at < line - 1; at += 1) {
    const op = window[at];
    if (op !== GLOBAL && op !== INST) continue;
    // No line of words or of base64 has so many.
    letters += 1;
    if (letters > LETTERS) run.spend(COST.letter);
    if (leads) return at;
    // Its first part must be one that is denied, or a run of letters would be judged from each of them on.
    if (dot <= at) for (dot = at + 1; dot < line && window[dot] !== DOT; ) dot += 1;
    if (!ROOT_SHAPES.has(256 * (dot - at - 1) + (window[at + 1] ?? 0)) || !DENIED_ROOTS.has(window.toString('latin1', at + 1, dot)))
      continue;
    if (judge(window.toString('latin1', at + 1, line), name).kind === 'denied') return at;
  }
  return -1;
}

function isName(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f || byte === 0x2e
  );
}
