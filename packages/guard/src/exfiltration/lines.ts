import { isGap, LF, type State } from './state.ts';

/** The next line begins: what a line, and what a paragraph, keeps open ends. */
export function beginLine(s: State): void {
  if (s.closing) s.fence = 0;
  s.closing = false;
  s.info = false;
  if (s.blank) {
    s.brackets = 0;
    s.depth = 0;
    s.image = false;
    s.span = 0;
    s.html = false;
    s.tag = '';
  }
  s.naming = false;
  s.escaped = false;
  s.scheme = 0;
  s.closed = -1;
  s.previous = LF;
  s.indent = 0;
  s.nested = false;
  s.blank = true;
}

/** The white space and marks a line begins with. */
export function readPrefix(s: State, unit: number): boolean {
  if (unit === 32 || unit === 13) s.indent++;
  else if (unit === 9) s.indent += 4 - (s.indent % 4);
  else if (s.fence === 0 && (unit === 0x3e || unit === 0x2d || unit === 0x2a || unit === 0x2b || (unit >= 0x30 && unit <= 0x39))) {
    s.nested = true;
    s.blank = false;
    s.previous = unit;
  } else if (s.fence === 0 && (unit === 0x2e || unit === 0x29) && s.nested) s.previous = unit;
  else return false;
  return true;
}

/** A unit of a fenced block: whether its line can close the block, and whether all renderers would see it inside. */
export function readFenced(s: State, unit: number, isFirst: boolean, indent: number): void {
  if (isFirst) {
    if (indent < s.fenceIndent) s.distrust = true;
    if (unit === s.fence && s.run === 0) {
      s.runUnit = unit;
      s.runIndent = indent;
      s.run = 1;
    }
  } else if (s.run > 0) s.run++;
  else if (s.closing && !isGap(unit)) s.closing = false;
}

/** A run of back-ticks or tildes is over. */
export function endRun(s: State): void {
  const { run, runUnit, runIndent } = s;
  s.run = 0;
  if (s.fence !== 0 && !s.info) {
    if (run < s.fenceLength || runUnit !== s.fence) return;
    if (runIndent < 4 || s.fenceIndent >= 4) s.closing = true;
    else s.distrust = true;
    return;
  }
  if (runIndent >= 0 && run >= 3) {
    s.span = 0;
    if (s.nested || s.html) s.distrust = true;
    s.fence = runUnit;
    s.fenceLength = run;
    s.fenceIndent = runIndent;
    s.info = true;
    return;
  }
  if (runUnit !== 0x60) return;
  // A back-tick in the first line: no fence after all.
  if (s.info && s.fence === 0x60) {
    s.fence = 0;
    s.info = false;
  }
  if (s.span === 0) s.span = run;
  else if (s.span === run) s.span = 0;
}
