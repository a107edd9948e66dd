/**
 * Where the run of `signs` (characters of one unit) at the end of a text begins; its length where there is none. By hand, because an
 * expression such as `[.!]+$` is tried again at every sign of a run that is not at the end: quadratic in hostile text.
 */
export function trailingFrom(text: string, signs: string): number {
  let from = text.length;
  while (from > 0 && signs.includes(text.charAt(from - 1))) from--;
  return from;
}
