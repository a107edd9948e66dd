import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chooseGuard } from '@sallyport/access';
import type { Finding, Provenance, Verdict } from '@sallyport/core';
import { compileGuard, type Exchange, type Guard, type Stage } from '@sallyport/guard';
import { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, print, result, table, UsageError } from '../terminal.ts';
import { collect, globalOptions } from './options.ts';

const STAGES: readonly Stage[] = ['input', 'output', 'document', 'tool'];
const PROVENANCE: Readonly<Record<Stage, Provenance>> = { input: 'user', output: 'assistant', document: 'untrusted', tool: 'untrusted' };

/** Whose words a text is, and the stage it is then at where none is named. */
const KINDS: Readonly<Record<string, readonly [Provenance, Stage]>> = {
  user: ['user', 'input'],
  system: ['system', 'input'],
  untrusted: ['untrusted', 'document'],
  assistant: ['assistant', 'output'],
  reply: ['assistant', 'output'],
  definition: ['definition', 'input'],
  metadata: ['metadata', 'input'],
};

/** What `inspect` says of one text. `score` is the highest of its findings, 1 for a finding without one, 0 for none. */
interface Inspected {
  readonly verdict: Verdict['effect'];
  readonly score: number;
  readonly findings: readonly Partial<Finding>[];
}

/** One text with what is known of it. */
interface Subject {
  readonly text: string;
  readonly stage: Stage;
  readonly provenance: Provenance;
  /** The system prompt a reply was given under, or null. */
  readonly system: string | null;
}

interface Options {
  readonly stage?: string;
  readonly kind?: string;
  readonly system?: string;
  readonly model?: string;
  readonly role?: string[];
  readonly tenant: string;
  readonly endpoint?: string;
  readonly jsonl?: boolean;
  readonly json?: boolean;
  readonly explain?: boolean;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show a text to the configured guard. Exits with 1 where it would not pass')
    .argument('[file]', 'file to read; - or nothing for stdin', '-')
    .option('--stage <stage>', 'input, output, document or tool (default: input)')
    .option('--kind <kind>', 'whose words they are: user, untrusted, system, assistant, definition or metadata (default: by stage)')
    .option('--system <file>', 'system prompt of the exchange, for texts of the output stage')
    .option('--model <name>', 'as in a request for this model')
    .option('--role <role>', 'as from a caller with this role (again for more)', collect)
    .option('--tenant <tenant>', 'as from a caller of this tenant', 'default')
    .option('--endpoint <id>', 'as at this endpoint: openai.chat')
    .option('--jsonl', 'one {"id","text","stage"?,"kind"?,"system"?} a line in, one verdict a line out, in order')
    .option('--explain', 'say of each finding where it is, and its score and threshold')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ echo "hello" | sallyport inspect --stage input --explain')
    .action(async (file: string, options: Options, command: Command) => {
      const place = placeOf(options.stage, options.kind);
      const { config } = await readConfig(globalOptions(command).place, false);
      const { model = null, endpoint = null, role: roles = [], tenant } = options;
      const guard = compileGuard(chooseGuard(config.guards, { tenant, roles, model, endpoint }).settings);
      const explain = options.explain === true;
      if (options.jsonl === true) {
        await inspectLines(guard, file, options, explain);
        return;
      }
      const text = readFileSync(file === '-' ? 0 : file, 'utf8');
      const system = options.system === undefined ? null : readFileSync(options.system, 'utf8');
      const inspected = inspect(guard, { text, ...place, system }, explain);
      process.exitCode = inspected.verdict === 'pass' || inspected.verdict === 'flag' ? EXIT.done : EXIT.refused;
      result(options.json === true, inspected, () => describe(inspected, text, explain));
    });
}

function describe({ verdict, findings }: Inspected, text: string, explain: boolean): string {
  if (findings.length === 0) return verdict;
  const rows = findings.map(({ detector = '', category = '', severity = '', start = 0, end = 0, score, threshold }) => [
    detector,
    category,
    severity,
    ...(explain ? [lineAndColumn(text, start), score?.toString() ?? 'certain', threshold?.toString() ?? '-'] : []),
    String(start),
    String(end),
  ]);
  const more = explain ? ['AT', 'SCORE', 'THRESHOLD'] : [];
  return `${verdict}\n${table(['DETECTOR', 'CATEGORY', 'SEVERITY', ...more, 'START', 'END'], rows)}`;
}

/** `3:14`, both from 1. */
function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}

function parseStage(text: string): Stage {
  const stage = STAGES.find((known) => known === text);
  if (stage === undefined) throw new UsageError(`--stage: expected one of ${STAGES.join(', ')}, got ${text}`);
  return stage;
}

/** Stage and provenance from what is named of them; each follows from the other. */
function placeOf(stage: string | undefined, kind: string | undefined): { readonly stage: Stage; readonly provenance: Provenance } {
  const known = kind === undefined ? undefined : Object.hasOwn(KINDS, kind) ? KINDS[kind] : null;
  if (known === null) throw new UsageError(`--kind: expected one of ${Object.keys(KINDS).join(', ')}, got ${kind}`);
  const at = stage === undefined ? (known?.[1] ?? 'input') : parseStage(stage);
  return { stage: at, provenance: known?.[0] ?? PROVENANCE[at] };
}

function inspect(guard: Guard, { text, stage, provenance, system }: Subject, explain: boolean): Inspected {
  const exchange: Exchange | null =
    system === null ? null : { given: [{ provenance: 'system', text: system }], prompt: null, canary: null };
  const verdict = guard.inspect(text, { stage, provenance, kind: null, ...(exchange === null ? {} : { exchange }) });
  const findings = verdict.effect === 'pass' ? [] : verdict.findings;
  return {
    verdict: verdict.effect,
    score: findings.reduce((highest, finding) => Math.max(highest, finding.score ?? 1), 0),
    findings: explain
      ? findings
      : findings.map(({ detector, category, severity, start, end }) => ({ detector, category, severity, start, end })),
  };
}

async function inspectLines(guard: Guard, file: string, options: Options, explain: boolean): Promise<void> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  const system = options.system === undefined ? null : readFileSync(options.system, 'utf8');
  let number = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (line.trim() === '') continue;
    const row = parseRow(line, number);
    const place = placeOf(row.stage ?? options.stage, row.kind ?? options.kind);
    const inspected = inspect(guard, { text: row.text, ...place, system: row.system ?? system }, explain);
    print(JSON.stringify({ id: row.id, ...inspected }));
  }
}

interface Row {
  readonly id: unknown;
  readonly text: string;
  readonly stage: string | undefined;
  readonly kind: string | undefined;
  readonly system: string | undefined;
}

function parseRow(line: string, number: number): Row {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UsageError(`line ${number}: expected a JSON object, got something that is not JSON`);
  }
  if (typeof value !== 'object' || value === null || !('text' in value) || typeof value.text !== 'string') {
    throw new UsageError(`line ${number}: expected {"id","text"}, got no string \`text\``);
  }
  const members = new Map<string, unknown>(Object.entries(value));
  const text = (name: string): string | undefined => {
    const member = members.get(name);
    return typeof member === 'string' ? member : undefined;
  };
  return { id: members.get('id') ?? null, text: value.text, stage: text('stage'), kind: text('kind'), system: text('system') };
}
