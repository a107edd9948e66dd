/** One thing wrong with guard settings. `path` is where in the configuration, `got` what stands there (shortened). */
export interface GuardConfigIssue {
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

/** Guard settings that cannot be compiled, with every problem found. */
export class GuardConfigError extends Error {
  override readonly name: string = 'GuardConfigError';
  readonly issues: readonly GuardConfigIssue[];

  constructor(issues: readonly GuardConfigIssue[]) {
    super(issues.map(({ path, expected, got }) => `${path}: expected ${expected}, got ${got}`).join('; '));
    this.issues = issues;
  }
}
