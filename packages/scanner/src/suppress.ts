import { at, JsonError, parseJson } from './format/json.ts';
import { type FileReport, type FileVerdict, type ScanFinding, worseVerdict } from './report.ts';
import { findRule } from './rules.ts';

/** One finding of one file that was reviewed and accepted. */
export interface Suppression {
  /** SHA-256 of the file; another file with the same finding is not meant. */
  readonly sha256: string;
  /** The rule that is accepted. */
  readonly rule: string;
  readonly reason: string;
  /** The day after which it no longer counts, `2027-01-31`. */
  readonly expires: string;
}

/** A suppression file that is not what it has to be; names the entry and the field. */
export class SuppressionsInvalid extends Error {
  override readonly name: string = 'SuppressionsInvalid';
}

const LONGEST = 366 * 86_400_000;

/** `{"suppressions": [{"sha256", "rule", "reason", "expires"}]}`. Every field is needed. Throws `SuppressionsInvalid`. */
export function parseSuppressions(text: string): Suppression[] {
  let document: ReturnType<typeof parseJson>;
  try {
    document = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new SuppressionsInvalid(`not sound JSON: ${error.message}`);
  }
  const list = at(document, 'suppressions');
  if (!Array.isArray(list)) throw new SuppressionsInvalid('suppressions: expected a list');
  return list.map((entry, index) => {
    const field = (name: string, pattern: RegExp, expected: string): string => {
      const value = at(entry, name);
      if (typeof value !== 'string' || !pattern.test(value))
        throw new SuppressionsInvalid(`suppressions[${index}].${name}: expected ${expected}`);
      return value;
    };
    const suppression = {
      sha256: field('sha256', /^[0-9a-f]{64}$/, 'the SHA-256 digest of the file in lower case'),
      rule: field('rule', /^[a-z0-9-]+$/, 'the id of a rule'),
      reason: field('reason', /\S.{7,}/s, 'a reason of at least eight characters'),
      expires: field('expires', /^\d{4}-\d{2}-\d{2}$/, 'a day such as 2027-01-31'),
    };
    if (findRule(suppression.rule) === null)
      throw new SuppressionsInvalid(`suppressions[${index}].rule: there is no rule ${suppression.rule}`);
    if (Number.isNaN(Date.parse(suppression.expires))) throw new SuppressionsInvalid(`suppressions[${index}].expires: no such day`);
    return suppression;
  });
}

/** A report in which accepted findings no longer count. They stay listed, as `suppressed`, with the reason. */
export interface SuppressedReport extends FileReport {
  readonly suppressed: readonly (ScanFinding & { readonly reason: string; readonly expires: string })[];
}

/**
 * Takes accepted findings out of a report. A suppression that has expired, reaches further than a year ahead, or is of another digest does
 * nothing. A report whose findings were cut at their limit keeps its verdict: what is not listed cannot have been reviewed.
 */
export function suppress(
  report: FileReport,
  suppressions: readonly Suppression[],
  limit: number,
  now: Date = new Date(),
): SuppressedReport {
  const mine = suppressions.filter(({ sha256, expires }) => {
    const end = Date.parse(expires) + 86_400_000;
    return sha256 === report.sha256 && end > now.getTime() && end - now.getTime() <= LONGEST;
  });
  if (mine.length === 0 || report.findings.length >= limit) return { ...report, suppressed: [] };
  const kept: ScanFinding[] = [];
  const suppressed: SuppressedReport['suppressed'][number][] = [];
  for (const finding of report.findings) {
    const accepted = mine.find(({ rule }) => rule === finding.rule);
    if (accepted === undefined) kept.push(finding);
    else suppressed.push({ ...finding, reason: accepted.reason, expires: accepted.expires });
  }
  const verdict = kept.reduce<FileVerdict>((worst, { rule }) => worseVerdict(worst, findRule(rule)?.verdict ?? 'malicious'), 'clean');
  return { ...report, verdict, findings: kept, suppressed };
}
