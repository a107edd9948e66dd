import http from 'node:http';
import https from 'node:https';
import { formatListen, type RiskView } from '@sallyport/control';
import { Fault } from '@sallyport/core';
import { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, plain, result, table, UsageError } from '../terminal.ts';
import { ownTls } from './doctor.ts';
import { formatTime, globalOptions } from './options.ts';

/** Milliseconds the running server has for its answer. */
const TIMEOUT = 10_000;

type ShownRisk = Omit<RiskView, 'until' | 'signals'> & {
  readonly until: string | null;
  readonly signals: readonly { readonly signal: string; readonly count: number; readonly lastAt: string }[];
};

interface RiskOptions {
  readonly json?: boolean;
}

/** What callers did is in the memory of the running gateway, so these verbs ask its admin API. */
export function riskCommand(): Command {
  const risk = new Command('risk').description('callers whose conduct counts against them, at the running server');
  const verb = (name: string, description: string, example: string): Command =>
    risk
      .command(name)
      .description(description)
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExample:\n  $ SALLYPORT_KEY=sp_live_… sallyport risk ${example}`);
  verb('list', 'everybody with a score, the worst first', 'list').action(async (options: RiskOptions, command: Command) => {
    const items = await listed(command);
    result(options.json === true, items, () => table(['SUBJECT', 'SCORE', 'LEVEL', 'UNTIL'], items.map(rowOf)));
  });
  verb(
    'show <subject>',
    'one of them, with what led to the score. Exits with 1 where nothing counts against it',
    'show principal:default/app:bot',
  ).action(async (subject: string, options: RiskOptions, command: Command) => {
    const view = (await listed(command)).find((one) => one.subject === subject);
    if (view === undefined) process.exitCode = EXIT.refused;
    result(options.json === true, view ?? null, () => (view === undefined ? `Nothing counts against ${plain(subject)}.` : explain(view)));
  });
  verb('reset <subject>', 'forget what it did and lift what is done with it', 'reset principal:default/app:bot').action(
    async (subject: string, options: RiskOptions, command: Command) => {
      const view = (await ask(command, 'POST', '/admin/v1/risk/reset', { subject })) as ShownRisk;
      result(options.json === true, view, () => `${plain(view.subject)}: ${view.level}`);
    },
  );
  return risk;
}

async function listed(command: Command): Promise<readonly ShownRisk[]> {
  const { items } = (await ask(command, 'GET', '/admin/v1/risk', null)) as { items: readonly ShownRisk[] };
  return items;
}

function rowOf({ subject, score, level, until }: ShownRisk): readonly string[] {
  return [subject, score.toFixed(1), level, until === null ? '-' : formatTime(Date.parse(until))];
}

function explain(view: ShownRisk): string {
  const what = view.signals.map(({ signal, count, lastAt }) => [signal, String(count), formatTime(Date.parse(lastAt))]);
  return `${table(['SUBJECT', 'SCORE', 'LEVEL', 'UNTIL'], [rowOf(view)])}\n\n${table(['SIGNAL', 'COUNT', 'LAST'], what)}`;
}

async function ask(command: Command, method: 'GET' | 'POST', path: string, body: object | null): Promise<unknown> {
  const key = process.env['SALLYPORT_KEY'] ?? '';
  if (key === '') throw new UsageError('A key is needed: put it into the environment variable SALLYPORT_KEY.');
  const { place } = globalOptions(command);
  const { config } = await readConfig(place, false);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const { request } = config.tls === null ? http : https;
  const asked = request(
    `${config.tls === null ? 'http' : 'https'}://${formatListen(config.listen.control)}${path}`,
    {
      method,
      ...ownTls(config),
      agent: false,
      signal: AbortSignal.timeout(TIMEOUT),
      headers: { authorization: `Bearer ${key}`, ...(body === null ? {} : { 'content-type': 'application/json' }) },
    },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    },
  );
  asked.on('error', reject).end(body === null ? undefined : JSON.stringify(body));
  const { status, text } = await promise;
  const value: unknown = JSON.parse(text);
  if (status === 200) return value;
  const said = typeof value === 'object' && value !== null ? (Reflect.get(value, 'detail') ?? Reflect.get(value, 'title')) : null;
  throw new Fault(status === 404 ? 'not_found' : 'forbidden', `The server answers ${status}: ${plain(String(said ?? ''))}`);
}
