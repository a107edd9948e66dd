import { isUtf8 } from 'node:buffer';
import { createInterface } from 'node:readline/promises';
import { type Entry, readEntries, SealBroken, subjectOf } from '@sallyport/ledger';
import type { Command } from 'commander';
import { hasHome, type Installation, openBodies, openInstallation, readConfig } from '../installation.ts';
import { EXIT, plain, print, result, tell, UsageError } from '../terminal.ts';
import { localEntry } from './local-entry.ts';
import { globalOptions, notSetUp } from './options.ts';

const PARTS = ['prompt', 'reply'] as const;

interface BodyOptions {
  readonly part: string;
  readonly json?: boolean;
}

interface ForgetOptions {
  readonly tenant: string;
  readonly principal: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** `body` and `forget`: the texts that `audit.bodies` has stored. */
export function addBodies(audit: Command): void {
  audit
    .command('body')
    .description(
      'the text of a request or its reply, where audit.bodies stores them; that it was read is recorded. Exits with 1 without one',
    )
    .argument('<id>', 'request id, as in the header x-request-id')
    .option('--part <part>', PARTS.join(' or '), 'prompt')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit body 4tlxHtm2aj_H3dSp --part reply')
    .action(async (id: string, options: BodyOptions, command: Command) => {
      const part = PARTS.find((known) => known === options.part);
      if (part === undefined) throw new UsageError(`--part: expected ${PARTS.join(' or ')}, got ${options.part}`);
      await using installation = await open(command);
      const entry = await exchangeOf(installation, id);
      if (entry?.principal == null) return refuse(`No entry of an exchange has the id ${plain(id)}.`);
      const { tenant, id: principal } = entry.principal;
      const body = await read(installation, entry, subjectOf(tenant, principal), part);
      if (body === null) return;
      // What cannot be recorded is not shown.
      await installation.record({ ...localEntry('decision', 'audit.body', `body:${entry.id}-${part}`), detail: { tenant, principal } });
      const cut = part === 'reply' && entry.detail['bodies'] === 'cut';
      if (cut) tell('The reply was longer than what is kept of a stream: this is its beginning.');
      if (options.json === true) {
        const text = isUtf8(body) ? { text: body.toString() } : { base64: body.toString('base64') };
        print(quiet(JSON.stringify({ id: entry.id, part, time: entry.time, tenant, principal, bytes: body.length, cut, ...text })));
      } else if (process.stdout.isTTY) print(body.toString().split('\n').map(plain).join('\n'));
      else process.stdout.write(body);
    });
  audit
    .command('forget')
    .description(
      'make the stored texts of one principal unreadable for ever; no entry of the ledger changes. Exits with 1 where there are none',
    )
    .requiredOption('--tenant <tenant>', 'tenant of the principal, as the ledger has it')
    .requiredOption('--principal <id>', 'the principal, as the ledger has it')
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit forget --tenant acme --principal u_fb9d215a32748dc206bbb51c --yes')
    .action(async ({ tenant, principal, yes = false, json = false }: ForgetOptions, command: Command) => {
      await using installation = await open(command);
      const bodies = await openBodies(installation);
      const subject = subjectOf(tenant, principal);
      const name = `${plain(principal)} of tenant ${plain(tenant)}`;
      if (!(await bodies.knows(subject))) return refuse(`No text of ${name} can be read: none was stored, or all were forgotten.`);
      if (!yes && !(await confirmed(`Make all stored texts of ${name} unreadable for ever?`))) return refuse('Nothing was done.');
      const facts = { ...localEntry('change', 'audit.forget', `principal:${principal}`), detail: { tenant, principal } };
      // As with every change that is made elsewhere: on record before it is done, and where it then fails a second entry says so.
      await installation.record(facts);
      try {
        await bodies.forget(subject);
      } catch (error) {
        await installation.record({ ...facts, outcome: 'failed', fault: 'internal_error' });
        throw error;
      }
      result(json, { tenant, principal, forgotten: true }, () => `The stored texts of ${name} cannot be read any more.`);
    });
}

async function open(command: Command): Promise<Installation> {
  const { place, logger } = globalOptions(command);
  if (!hasHome(place)) throw notSetUp(place);
  const { config } = await readConfig(place, false);
  return await openInstallation({ place, config, writer: 'cli', logger, patience: 10_000 });
}

/** The newest entry of an exchange with that id: its end, where there is one. */
async function exchangeOf({ config }: Installation, id: string): Promise<Entry | null> {
  let found: Entry | null = null;
  for await (const { entry } of readEntries(config.audit.directory, { id, kind: 'request' })) found = entry;
  return found;
}

/** Null, and said why, where there is none that can be read. */
async function read(installation: Installation, entry: Entry, subject: string, part: (typeof PARTS)[number]): Promise<Buffer | null> {
  const bodies = await openBodies(installation);
  try {
    const body = await bodies.open(subject, `${entry.id}-${part}`);
    if (body !== null) return body;
    const isForgotten = entry.detail['bodies'] !== undefined && !(await bodies.knows(subject));
    refuse(
      isForgotten
        ? 'The texts of this principal cannot be read: they were forgotten, or stored under another master key.'
        : `There is no ${part} of this request: it was not stored, there was none, or it is older than audit.retention keeps it.`,
    );
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    refuse(
      `The ${part} of this request does not open: it was altered or moved, or its key was destroyed when the principal was forgotten.`,
    );
  }
  return null;
}

function refuse(message: string): void {
  process.exitCode = EXIT.refused;
  tell(message);
}

/** @throws UsageError where nobody can be asked */
async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UsageError('This cannot be undone, and nobody can be asked: repeat it with --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** The same JSON, in which nothing is left that a terminal obeys. */
function quiet(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
