import { isGap, LF, type State } from './state.ts';

/** Whether a destination, in whatever it is written, ends before this unit. */
export function endsDestination(s: State, unit: number): boolean {
  if (unit === LF && s.end !== 'markdown' && s.end !== 'angle') {
    s.lineFeeds++;
    if (s.lineFeeds > 1) return true;
  } else if (!isGap(unit)) s.lineFeeds = 0;
  switch (s.end) {
    case 'angle':
      return unit === 0x3e || unit === LF;
    case 'double':
      return unit === 0x22;
    case 'single':
      return unit === 0x27;
    case 'unquoted':
      return isGap(unit) || unit === 0x3e;
    case 'round':
      return unit === 0x29;
    case 'markdown':
      if (isGap(unit)) return true;
      if (s.escaped) s.escaped = false;
      else if (unit === 0x5c) s.escaped = true;
      else if (unit === 0x28) s.round++;
      else if (unit === 0x29 && s.round-- === 0) return true;
      return false;
  }
}

/** Whether an address in running text does. */
export function endsAddress(s: State, unit: number): boolean {
  if (isGap(unit) || (unit >= 0x3001 && unit <= 0x3011) || unit === 0xff0c || unit === 0xff09) return true;
  if (unit === 0x28) s.round++;
  else if (unit === 0x29 && s.round-- === 0) return true;
  // " ' < > ] ` |
  return unit === 0x22 || unit === 0x27 || unit === 0x3c || unit === 0x3e || unit === 0x5d || unit === 0x60 || unit === 0x7c;
}
