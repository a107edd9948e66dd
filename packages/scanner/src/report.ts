/** What a scan says of one file. Only `clean` passes; the other five say why it does not. */
export type FileVerdict = 'clean' | 'suspicious' | 'malicious' | 'malformed' | 'not-scanned' | 'inconclusive';

export type ScanSeverity = 'info' | 'low' | 'medium' | 'high' | 'critical';

/**
 * One thing found. `offset` is a byte offset in the scanned file; it is absent for what lies inside a compressed part, where the message
 * names the member. `message` may hold names and short literals out of the file, always escaped.
 */
export interface ScanFinding {
  readonly rule: string;
  readonly severity: ScanSeverity;
  readonly message: string;
  readonly offset?: number;
  /** Published advisories that this is an instance of. */
  readonly cve?: readonly string[];
  /** First version of a loader that this does not fool, where there is one. */
  readonly loader?: string;
}

/** The verdict on one file, bound to its digest and to the rules that gave it. */
export interface FileReport {
  readonly path: string;
  /** Hexadecimal digest of the whole file; empty where the file could not be read or hashing was turned off. */
  readonly sha256: string;
  readonly size: number;
  readonly format: string;
  readonly verdict: FileVerdict;
  readonly findings: readonly ScanFinding[];
  /** Version of the rule table that judged. */
  readonly rules: string;
}

/** From best to worst. A file's verdict is the worst that any finding carries; every other finding is still listed. */
export const VERDICTS: readonly FileVerdict[] = ['clean', 'not-scanned', 'inconclusive', 'malformed', 'suspicious', 'malicious'];

export function worseVerdict(one: FileVerdict, other: FileVerdict): FileVerdict {
  return VERDICTS.indexOf(one) >= VERDICTS.indexOf(other) ? one : other;
}

/** Text out of a hostile file, short and free of anything a terminal or a log would obey. */
export function quote(text: string, limit: number = 80): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(/[^\x20-\x7e…]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
