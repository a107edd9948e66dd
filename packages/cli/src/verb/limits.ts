import { Command } from 'commander';
import { plain, result, table, tell } from '../terminal.ts';
import { askAdmin } from './admin-api.ts';
import { simulateCommand } from './limits-simulate.ts';
import { formatTime } from './options.ts';

/** As the admin API shows it. */
interface ShownUse {
  readonly limit: { readonly name: string; readonly quantity: string; readonly amount: number; readonly window: string | null };
  readonly per: string;
  readonly of: string;
  readonly used: number;
  readonly remaining: number;
  readonly emptyAt: string | null;
}

const SELECTION = ['key', 'caller', 'user', 'team', 'tenant', 'role', 'model', 'upstream', 'address', 'session'] as const;
type Selection = { readonly [name in (typeof SELECTION)[number]]?: string };

export function limitsCommand(): Command {
  const limits = new Command('limits').description(
    'what callers have used of their limits, at the running server; and what limits would do',
  );
  selecting(limits.command('show'))
    .description('how the windows of a key, a user, a model, … stand; of nobody named, those for everybody together')
    .addHelpText('after', '\nExample:\n  $ SALLYPORT_KEY=sp_live_… sallyport limits show --key 4f7k2m9x1c3d --model llama3')
    .action(async (options: Selection & { readonly json?: boolean }, command: Command) => {
      const query = new URLSearchParams(selectionOf(options)).toString();
      const { items } = (await askAdmin(command, 'GET', `/admin/v1/limits${query === '' ? '' : `?${query}`}`, null)) as {
        items: readonly ShownUse[];
      };
      if (items.length === 0) tell('No limit counts by what was named.');
      result(options.json === true, items, () =>
        table(['LIMIT', 'PER', 'OF', 'USED', 'AMOUNT', 'LEFT', 'WINDOW', 'EMPTY AT'], items.map(rowOf)),
      );
    });
  selecting(limits.command('reset'))
    .description('empty the bucket of one limit for whom is named; the ledger keeps what was used')
    .requiredOption('--limit <name>', 'name of the limit, as show has it')
    .addHelpText('after', '\nExample:\n  $ SALLYPORT_KEY=sp_live_… sallyport limits reset --limit tokens/key/1d --key 4f7k2m9x1c3d')
    .action(async (options: Selection & { readonly limit: string; readonly json?: boolean }, command: Command) => {
      const body = { limit: options.limit, ...selectionOf(options) };
      const done = (await askAdmin(command, 'POST', '/admin/v1/limits/reset', body)) as ShownUse & { readonly before: number };
      result(
        options.json === true,
        done,
        () => `${plain(done.limit.name)} of ${plain(done.of)}: ${done.before} used before, ${done.used} now.`,
      );
    });
  limits.addCommand(simulateCommand());
  return limits;
}

function selecting(command: Command): Command {
  return command
    .option('--key <id>', 'a key, the part after sp_live_')
    .option('--caller <id>', 'who a token or a certificate is of')
    .option('--user <id>', 'a user')
    .option('--team <name>', 'a team')
    .option('--tenant <name>', 'a tenant')
    .option('--role <name>', 'a role')
    .option('--model <name>', 'a model')
    .option('--upstream <name>', 'a model server')
    .option('--address <ip>', 'an address of callers')
    .option('--session <name>', 'a session of the key or caller, as the client names it')
    .option('--json', 'print JSON');
}

function selectionOf(options: Selection): Record<string, string> {
  return Object.fromEntries(SELECTION.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));
}

function rowOf({ limit, per, of, used, remaining, emptyAt }: ShownUse): readonly string[] {
  const at = emptyAt === null ? '-' : formatTime(Date.parse(emptyAt));
  return [limit.name, per, of, String(used), String(limit.amount), String(remaining), limit.window ?? '-', at];
}
