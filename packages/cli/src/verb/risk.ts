import type { RiskView } from '@sallyport/control';
import { Command } from 'commander';
import { EXIT, plain, result, table } from '../terminal.ts';
import { askAdmin } from './admin-api.ts';
import { formatTime } from './options.ts';

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
    result(options.json === true, items, () => table(HEADINGS, items.map(rowOf)));
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
      const view = (await askAdmin(command, 'POST', '/admin/v1/risk/reset', { subject })) as ShownRisk;
      result(options.json === true, view, () => `${plain(view.subject)}: ${view.level}`);
    },
  );
  return risk;
}

async function listed(command: Command): Promise<readonly ShownRisk[]> {
  const { items } = (await askAdmin(command, 'GET', '/admin/v1/risk', null)) as { items: readonly ShownRisk[] };
  return items;
}

const HEADINGS = ['SUBJECT', 'SCORE', 'SHARE', 'LEVEL', 'UNTIL'];

function rowOf({ subject, score, share, level, until }: ShownRisk): readonly string[] {
  return [subject, score.toFixed(1), `${Math.round(share * 100)} %`, level, until === null ? '-' : formatTime(Date.parse(until))];
}

function explain(view: ShownRisk): string {
  const what = view.signals.map(({ signal, count, lastAt }) => [signal, String(count), formatTime(Date.parse(lastAt))]);
  return `${table(HEADINGS, [rowOf(view)])}\n\n${table(['SIGNAL', 'COUNT', 'LAST'], what)}`;
}
