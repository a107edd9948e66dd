import type { Config, IssuedKey, KeyView, NewKey, NewLimit } from '@sallyport/control';
import { Command } from 'commander';
import { result, table, tell, UsageError } from '../terminal.ts';
import { collect, formatTime, parseDuration, withService } from './options.ts';

interface CreateOptions {
  readonly name: string;
  readonly role?: string[];
  readonly model?: string[];
  readonly tenant?: string;
  readonly team?: string;
  readonly user?: string;
  readonly expires?: string;
  readonly limit?: string[];
  readonly allowIp?: string[];
  readonly json?: boolean;
}

export function keysCommand(): Command {
  const keys = new Command('keys').description('API keys: create, list, show, revoke, rotate');
  keys
    .command('create')
    .description('make a key; it is printed once and stored as a keyed hash only')
    .requiredOption('--name <name>', 'what the key is for')
    .option('--role <role>', 'role (again for more); default: inference-only', collect)
    .option('--model <name>', 'model the key is kept to, `*` allowed (again for more)', collect)
    .option('--tenant <tenant>', 'tenant it belongs to')
    .option('--team <team>', 'team it belongs to')
    .option('--user <id>', 'user it belongs to; it never has more rights than the user')
    .option('--expires <duration>', 'life, at most 365d; default: 90d')
    .option('--limit <limit>', 'quantity=amount/window, for instance tokens=100000/1m (again for more)', collect)
    .option('--allow-ip <cidr>', 'address or network it may be used from (again for more)', collect)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  $ sallyport keys create --name billing-bot --role inference-only --model "llama*" --expires 90d --limit tokens=100000/1m',
    )
    .action(async (options: CreateOptions, command: Command) => {
      const issued = await withService(command, ({ service, actor, config }) => {
        warnOfUnknown(options.model ?? [], config);
        return service.keys.create(actor, newKey(options));
      });
      printIssued(issued, options.json === true);
    });
  keys
    .command('list')
    .description('every key with its state; secrets are never shown')
    .option('--tenant <tenant>', 'only this tenant')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport keys list --json')
    .action(async (options: { tenant?: string; json?: boolean }, command: Command) => {
      const list = await withService(command, async ({ service, actor }) => {
        const all: KeyView[] = [];
        for (let cursor: string | null | undefined; cursor !== null; ) {
          const page = await service.keys.list(actor, {
            limit: 500,
            ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
            ...(cursor === undefined ? {} : { cursor }),
          });
          all.push(...page.items);
          cursor = page.next;
        }
        return all;
      });
      result(options.json === true, list, () => table(['ID', 'NAME', 'STATUS', 'ROLES', 'MODELS', 'EXPIRES', 'LAST USED'], list.map(row)));
    });
  keys
    .command('show')
    .description('one key')
    .argument('<id>', 'id of the key, the part after sp_live_')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport keys show 4f7k2m9x1c3d')
    .action(async (id: string, options: { json?: boolean }, command: Command) => {
      const key = await withService(command, ({ service, actor }) => service.keys.show(actor, id));
      result(options.json === true, key, () => describe(key));
    });
  keys
    .command('revoke')
    .description('end a key now, everywhere within two seconds')
    .argument('<id>', 'id of the key')
    .option('--reason <text>', 'why, for the ledger')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport keys revoke 4f7k2m9x1c3d --reason "laptop lost"')
    .action(async (id: string, options: { reason?: string; json?: boolean }, command: Command) => {
      const key = await withService(command, ({ service, actor }) => service.keys.revoke(actor, id, options.reason ?? null));
      result(options.json === true, key, () => `Key ${key.id} (${key.name}) is revoked.`);
    });
  keys
    .command('rotate')
    .description('give a key a new secret; the old one goes on for the overlap')
    .argument('<id>', 'id of the key')
    .option('--overlap <duration>', 'how long the old secret still counts, at most 72h; 0s ends it at once', '24h')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport keys rotate 4f7k2m9x1c3d --overlap 1h')
    .action(async (id: string, options: { overlap: string; json?: boolean }, command: Command) => {
      const overlap = parseDuration(options.overlap, '--overlap');
      const issued = await withService(command, ({ service, actor }) => service.keys.rotate(actor, id, { overlap }));
      printIssued(issued, options.json === true);
    });
  return keys;
}

/** A key may be made before its model is; a name mistyped gives a key that opens nothing. Without models in the file they are those found. */
function warnOfUnknown(names: readonly string[], config: Config): void {
  const known = config.models.map(({ name }) => name);
  if (known.length === 0) return;
  for (const name of names.filter((model) => !model.includes('*') && !known.includes(model))) {
    tell(`warning: --model ${name}: the configuration has no such model; it has ${known.slice(0, 10).join(', ')}`);
  }
}

function newKey(options: CreateOptions): NewKey {
  return {
    name: options.name,
    roles: options.role ?? ['inference-only'],
    ...(options.model === undefined ? {} : { models: options.model }),
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    ...(options.team === undefined ? {} : { team: options.team }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.expires === undefined ? {} : { expiresAt: Date.now() + parseDuration(options.expires, '--expires') }),
    ...(options.allowIp === undefined ? {} : { allowedIps: options.allowIp }),
    ...(options.limit === undefined ? {} : { limits: options.limit.map(parseLimit) }),
  };
}

const QUANTITIES: readonly NewLimit['quantity'][] = ['requests', 'input-tokens', 'output-tokens', 'tokens', 'concurrency', 'spend'];
const UNITS = ['hour', 'day', 'week', 'month'] as const;

/** `tokens=100000/1m`, `spend=50/month@Europe/Berlin`, `concurrency=4`. Throws `UsageError`. */
export function parseLimit(text: string): NewLimit {
  const match = /^([a-z-]+)=(\d{1,15}(?:\.\d{1,6})?)(?:\/(\w+)(?:@([\w+/-]{1,64}))?)?$/.exec(text);
  const quantity = QUANTITIES.find((known) => known === match?.[1]);
  if (match?.[2] === undefined || quantity === undefined || (match[3] === undefined) !== (quantity === 'concurrency')) {
    throw new UsageError(
      `--limit: expected quantity=amount/window with one of ${QUANTITIES.join(', ')} (concurrency without a window), got ${text}`,
    );
  }
  const amount = quantity === 'spend' ? Math.round(Number(match[2]) * 1_000_000) : Number(match[2]);
  const unit = UNITS.find((known) => known === match[3]);
  if (unit !== undefined) return { quantity, amount, window: 0, calendar: { unit, zone: match[4] ?? 'UTC' } };
  return { quantity, amount, window: match[3] === undefined ? 0 : parseDuration(match[3], '--limit') };
}

function printIssued({ key, secret }: IssuedKey, json: boolean): void {
  result(
    json,
    { ...key, secret },
    () =>
      `${secret}\n\nKeep it now; it is not shown again. Id ${key.id}, roles ${key.roles.join(', ')}, until ${formatTime(key.expiresAt)} UTC.`,
  );
}

function row(key: KeyView): string[] {
  return [
    key.id,
    key.name,
    key.status,
    key.roles.join(','),
    key.models?.join(',') ?? '*',
    formatTime(key.expiresAt),
    formatTime(key.lastUsedAt),
  ];
}

function describe(key: KeyView): string {
  const rows = Object.entries(key).map(([name, value]) => [
    name,
    /(At|Until)$/.test(name) && typeof value === 'number' ? formatTime(value) : JSON.stringify(value),
  ]);
  return table(['FIELD', 'VALUE'], rows);
}
