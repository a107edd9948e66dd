import type { FileReport, ScanSeverity } from './report.ts';
import { findRule, RULES_VERSION, type Rule } from './rules.ts';

/** What code hosts show: error, warning, note (SARIF 2.1.0, 3.27.10). */
const LEVEL: Readonly<Record<ScanSeverity, string>> = { critical: 'error', high: 'error', medium: 'warning', low: 'warning', info: 'note' };
/** GitHub sorts security results by this number (0 to 10). */
const SCORE: Readonly<Record<ScanSeverity, string>> = { critical: '9.5', high: '8.0', medium: '5.5', low: '2.0', info: '0.0' };

/** Reports as one SARIF 2.1.0 log (OASIS). Files are named relative to where the scan ran; offsets are bytes. */
export function toSarif(reports: readonly FileReport[], version: string): unknown {
  const used = [...new Set(reports.flatMap(({ findings }) => findings.map(({ rule }) => rule)))].sort();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'Sallyport', version, properties: { rules: RULES_VERSION }, rules: used.map(describeRule) } },
        results: reports.flatMap((report) =>
          report.findings.map(({ rule, severity, message, offset, cve, loader }) => ({
            ruleId: rule,
            ruleIndex: used.indexOf(rule),
            level: LEVEL[severity],
            message: { text: message },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: toUri(report.path) },
                  ...(offset === undefined ? {} : { region: { byteOffset: offset, byteLength: 0 } }),
                },
              },
            ],
            partialFingerprints: { 'sha256/v1': report.sha256 },
            properties: { verdict: report.verdict, format: report.format, cve, loader },
          })),
        ),
      },
    ],
  };
}

function describeRule(id: string): unknown {
  const rule: Rule | null = findRule(id);
  if (rule === null) return { id };
  const loader = rule.loader === undefined ? '' : ` Not fooled from ${rule.loader} on.`;
  return {
    id,
    shortDescription: { text: rule.explanation },
    fullDescription: { text: `${rule.explanation}${rule.cve === undefined ? '' : ` ${rule.cve.replaceAll(' ', ', ')}.`}${loader}` },
    defaultConfiguration: { level: LEVEL[rule.severity] },
    properties: { 'security-severity': SCORE[rule.severity], tags: ['security', 'model'] },
  };
}

function toUri(path: string): string {
  return path.split(/[\\/]/).map(encodeURIComponent).join('/');
}
