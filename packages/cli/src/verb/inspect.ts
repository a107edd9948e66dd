import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Finding, Provenance, Verdict } from '@sallyport/core';
import { compileGuard, type Guard, type Stage } from '@sallyport/guard';
import { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, print, result, table, UsageError } from '../terminal.ts';
import { globalOptions } from './options.ts';

const STAGES: readonly Stage[] = ['input', 'output', 'document', 'tool'];
const PROVENANCE: Readonly<Record<Stage, Provenance>> = { input: 'user', output: 'assistant', document: 'untrusted', tool: 'untrusted' };

/** What `inspect` says of one text. `score` is the highest of its findings, 1 for a finding without one, 0 for none. */
interface Inspected {
  readonly verdict: Verdict['effect'];
  readonly score: number;
  readonly findings: readonly Pick<Finding, 'detector' | 'category' | 'severity' | 'start' | 'end'>[];
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show a text to the configured guard. Exits with 1 where it would not pass')
    .argument('[file]', 'file to read; - or nothing for stdin', '-')
    .option('--stage <stage>', 'input, output, document or tool', 'input')
    .option('--jsonl', 'one {"id","text","stage"?} a line in, one verdict a line out, in order')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ echo "hello" | sallyport inspect --stage input')
    .action(async (file: string, options: { stage: string; jsonl?: boolean; json?: boolean }, command: Command) => {
      const stage = parseStage(options.stage);
      const { config } = await readConfig(globalOptions(command).place, false);
      const guard = compileGuard(config.guards);
      if (options.jsonl === true) {
        await inspectLines(guard, file, stage);
        return;
      }
      const text = readFileSync(file === '-' ? 0 : file, 'utf8');
      const inspected = inspect(guard, text, stage);
      process.exitCode = inspected.verdict === 'pass' || inspected.verdict === 'flag' ? EXIT.done : EXIT.refused;
      result(options.json === true, inspected, () =>
        [
          inspected.verdict,
          ...(inspected.findings.length === 0
            ? []
            : [
                table(
                  ['DETECTOR', 'CATEGORY', 'SEVERITY', 'START', 'END'],
                  inspected.findings.map(({ detector, category, severity, start, end }) => [
                    detector,
                    category,
                    severity,
                    String(start),
                    String(end),
                  ]),
                ),
              ]),
        ].join('\n'),
      );
    });
}

function parseStage(text: string): Stage {
  const stage = STAGES.find((known) => known === text);
  if (stage === undefined) throw new UsageError(`--stage: expected one of ${STAGES.join(', ')}, got ${text}`);
  return stage;
}

function inspect(guard: Guard, text: string, stage: Stage): Inspected {
  const verdict = guard.inspect(text, { stage, provenance: PROVENANCE[stage], kind: null });
  const findings = verdict.effect === 'pass' ? [] : verdict.findings;
  return {
    verdict: verdict.effect,
    score: findings.reduce((highest, finding) => Math.max(highest, finding.score ?? 1), 0),
    findings: findings.map(({ detector, category, severity, start, end }) => ({ detector, category, severity, start, end })),
  };
}

async function inspectLines(guard: Guard, file: string, stage: Stage): Promise<void> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  let number = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (line.trim() === '') continue;
    const row = parseRow(line, number);
    print(JSON.stringify({ id: row.id, ...inspect(guard, row.text, row.stage ?? stage) }));
  }
}

function parseRow(line: string, number: number): { readonly id: unknown; readonly text: string; readonly stage: Stage | null } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UsageError(`line ${number}: expected a JSON object, got something that is not JSON`);
  }
  if (typeof value !== 'object' || value === null || !('text' in value) || typeof value.text !== 'string') {
    throw new UsageError(`line ${number}: expected {"id","text"}, got no string \`text\``);
  }
  const stage = 'stage' in value && typeof value.stage === 'string' ? parseStage(value.stage) : null;
  return { id: 'id' in value ? value.id : null, text: value.text, stage };
}
