import type { EntryFacts } from '@sallyport/core';
import type { FileReport } from '@sallyport/scanner';
import type { Command } from 'commander';
import { hasHome, openInstallation, readConfig } from '../installation.ts';
import { localEntry } from './local-entry.ts';
import { globalOptions } from './options.ts';

const RULES_KEPT = 64;

/**
 * Writes one entry for each of these files, where an installation is set up: its digest, verdict and rules. Names of files are a person's
 * text and stay out; the digest says which file it was.
 */
export async function recordFindings(command: Command, found: readonly FileReport[]): Promise<void> {
  const { place, logger } = globalOptions(command);
  if (!hasHome(place)) return;
  const { config } = await readConfig(place, false);
  await using installation = await openInstallation({ place, config, writer: 'cli', logger, patience: 10_000 });
  for (const report of found) await installation.record(facts(report));
}

function facts(report: FileReport): EntryFacts {
  const counts = new Map<string, number>();
  for (const { rule } of report.findings) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  return {
    ...localEntry('finding', 'models.scan', report.sha256 === '' ? null : `sha256:${report.sha256}`),
    verdicts: [...counts].slice(0, RULES_KEPT).map(([rule, count]) => ({ detector: rule, action: 'flag', category: 'model', count })),
    detail: { verdict: report.verdict, format: report.format, rules: report.rules, size: report.size },
  };
}
