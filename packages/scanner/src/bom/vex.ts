import type { FileReport } from '../report.ts';
import { findRule } from '../rules.ts';

/** A vulnerability of a loader, and whether this model makes use of it (CycloneDX 1.7 `vulnerabilities`, used as VEX). */
export interface Vulnerability {
  readonly id: string;
  readonly source: { readonly name: string };
  readonly description: string;
  readonly recommendation?: string;
  readonly analysis: { readonly state: 'exploitable' | 'in_triage'; readonly detail: string };
  readonly affects: readonly { readonly ref: string }[];
}

interface Gathered {
  readonly refs: Set<string>;
  readonly rules: Set<string>;
  worst: Vulnerability['analysis']['state'];
  description: string;
  loader: string | undefined;
}

/**
 * For each published vulnerability that a finding is an instance of: which files, and from which version on a loader is not fooled. A
 * malicious finding makes it `exploitable`; any other has to be looked at. A vulnerability that no finding names is not listed: that a
 * scanner sees nothing is no statement that a loader is not affected.
 */
export function toVulnerabilities(reports: readonly FileReport[], refOf: (report: FileReport) => string): Vulnerability[] {
  const found = new Map<string, Gathered>();
  for (const report of reports) {
    for (const { rule: id, cve: advisories = [], loader } of report.findings) {
      const rule = findRule(id);
      for (const cve of advisories) {
        const entry = found.get(cve) ?? {
          refs: new Set(),
          rules: new Set(),
          worst: 'in_triage',
          description: rule?.explanation ?? '',
          loader,
        };
        entry.refs.add(refOf(report));
        entry.rules.add(id);
        if (rule?.verdict === 'malicious') entry.worst = 'exploitable';
        found.set(cve, entry);
      }
    }
  }
  return [...found]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, { refs, rules, worst, description, loader }]) => ({
      id,
      source: { name: id.startsWith('GHSA') ? 'GitHub Advisories' : 'NVD' },
      description,
      ...(loader === undefined ? {} : { recommendation: `Load with ${loader} or later, and only after the finding is resolved.` }),
      analysis: { state: worst, detail: `found by ${[...rules].join(', ')}: the file has the form that this vulnerability is about` },
      affects: [...refs].map((ref) => ({ ref })),
    }));
}
