import type { Entry } from '@sallyport/ledger';

export type Severity = 'informational' | 'notice' | 'warning' | 'error';

/** One scale in the words of each destination: syslog (RFC 5424 table 2), OTLP `SeverityNumber`, OCSF `severity_id`, CEF 0 to 10. */
export const LEVELS: Readonly<Record<Severity, { syslog: number; otlp: number; text: string; ocsf: number; cef: number }>> = {
  informational: { syslog: 6, otlp: 9, text: 'INFO', ocsf: 1, cef: 2 },
  notice: { syslog: 5, otlp: 10, text: 'INFO2', ocsf: 2, cef: 4 },
  warning: { syslog: 4, otlp: 13, text: 'WARN', ocsf: 3, cef: 6 },
  error: { syslog: 3, otlp: 17, text: 'ERROR', ocsf: 4, cef: 8 },
};

/** How much an entry asks for attention: what was blocked is a warning, what failed an error. */
export function severityOf({ outcome, kind, verdicts, decision }: Entry): Severity {
  if (outcome === 'failed') return 'error';
  if (outcome === 'blocked' || kind === 'finding') return 'warning';
  if (outcome === 'refused' || outcome === 'cut' || decision?.effect === 'deny' || verdicts.length > 0) return 'notice';
  return 'informational';
}
