import type { FileReport, FileVerdict } from './report.ts';
import { VERDICTS } from './report.ts';

/** Test results as CI systems read them (the JUnit XML that Jenkins and GitLab document): one case a file, a failure from `failOn` on. */
export function toJunit(reports: readonly FileReport[], failOn: FileVerdict | 'never'): string {
  const threshold = failOn === 'never' ? VERDICTS.length : VERDICTS.indexOf(failOn);
  const failed = reports.filter(({ verdict }) => VERDICTS.indexOf(verdict) >= threshold);
  const cases = reports.map((report) => {
    const { path, verdict, format, findings, sha256, rules } = report;
    const properties = [
      ['sha256', sha256],
      ['format', format],
      ['verdict', verdict],
      ['rules', rules],
    ].map(([name = '', value = '']) => `<property name="${name}" value="${escaped(value)}"/>`);
    const text = findings.map(({ severity, rule, message }) => `${severity} ${rule}: ${message}`).join('\n');
    const failure = failed.includes(report) ? `<failure type="${verdict}" message="${verdict}">${escaped(text)}</failure>` : '';
    return `<testcase classname="models.scan" name="${escaped(path)}"><properties>${properties.join('')}</properties>${failure}</testcase>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="sallyport models scan" tests="${reports.length}" failures="${failed.length}" errors="0">\n${cases.join('\n')}\n</testsuite></testsuites>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** XML 1.0 has no way to write most control characters; they become a replacement character. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
