import { userInfo } from 'node:os';
import { localActor } from '@sallyport/control';
import { type EntryFacts, NO_EXCHANGE } from '@sallyport/core';
import type { FileReport } from '@sallyport/scanner';
import type { Command } from 'commander';
import { hasHome, openInstallation, readConfig, systemRandom } from '../installation.ts';
import { globalOptions } from './options.ts';

const FRESH_ID = 12;
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

function freshId(): string {
  return Buffer.from(systemRandom.bytes(FRESH_ID)).toString('base64url');
}

function facts(report: FileReport): EntryFacts {
  const counts = new Map<string, number>();
  for (const { rule } of report.findings) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  const id = freshId();
  const { principal } = localActor(id, userInfo().username);
  return {
    id,
    kind: 'finding',
    principal: { id: principal.id, kind: principal.kind, tenant: principal.tenant, credential: `local:${principal.credential.id}` },
    source: null,
    action: 'models.scan',
    resource: report.sha256 === '' ? null : `sha256:${report.sha256}`,
    decision: null,
    ...NO_EXCHANGE,
    verdicts: [...counts].slice(0, RULES_KEPT).map(([rule, count]) => ({ detector: rule, action: 'flag', category: 'model', count })),
    detail: { verdict: report.verdict, format: report.format, rules: report.rules, size: report.size },
  };
}
