/** Longer patterns and names are refused: public model names are short. */
const MAX_LENGTH = 256;

/**
 * Whether `name` is matched by `glob`: `*` stands for any characters, none included; everything else is literal and the whole name has
 * to match. Linear in the length of the name for each piece between stars; no regular expression is built from configuration.
 */
export function matchGlob(glob: string, name: string): boolean {
  if (glob.length > MAX_LENGTH || name.length > MAX_LENGTH) return false;
  const star = glob.indexOf('*');
  if (star === -1) return glob === name;
  const last = glob.lastIndexOf('*');
  const suffix = glob.slice(last + 1);
  if (name.length < star + suffix.length || !name.startsWith(glob.slice(0, star)) || !name.endsWith(suffix)) return false;
  // The leftmost place for each inner piece leaves the most room for those after it, so no backtracking is needed.
  const limit = name.length - suffix.length;
  let from = star;
  for (const piece of glob.slice(star, last).split('*')) {
    if (piece === '') continue;
    const found = name.indexOf(piece, from);
    if (found === -1 || found + piece.length > limit) return false;
    from = found + piece.length;
  }
  return true;
}

/** A list of public model names and globs, made for fast asking. `null` stands for every model, an empty list for none. */
export class ModelSet {
  readonly #exact: ReadonlySet<string> | null;
  readonly #globs: readonly string[];

  constructor(patterns: readonly string[] | null) {
    this.#exact = patterns === null ? null : new Set(patterns.filter((pattern) => !pattern.includes('*')));
    this.#globs = patterns === null ? [] : patterns.filter((pattern) => pattern.includes('*'));
  }

  has(name: string): boolean {
    if (this.#exact === null || this.#exact.has(name)) return true;
    for (const glob of this.#globs) if (matchGlob(glob, name)) return true;
    return false;
  }

  /**
   * Whether every name that `patterns` can match is in this set. A star in a pattern is only ever met by a star of ours, so a pattern
   * can be looked up as if it were a name. Errs on the side of no: a union of our patterns that covers one of theirs is not seen.
   */
  covers(patterns: readonly string[] | null): boolean {
    if (this.#exact === null) return true;
    return patterns?.every((pattern) => this.has(pattern)) ?? this.#globs.includes('*');
  }
}
