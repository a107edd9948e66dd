import { readFileSync } from 'node:fs';
import type { AllowanceView } from '@sallyport/control';
import type { Stage } from '@sallyport/guard';
import { Command, Option } from 'commander';
import { result, table } from '../terminal.ts';
import { formatTime, parseDuration, withService } from './options.ts';

interface AllowOptions {
  readonly detector: string;
  readonly category?: string;
  readonly stage: Stage;
  readonly tenant: string;
  readonly model?: string;
  readonly endpoint?: string;
  readonly reason: string;
  readonly expires: string;
  readonly json?: boolean;
}

/** `sallyport guards`: false positives of the guard that are allowed. */
export function guardsCommand(): Command {
  const guards = new Command('guards').description(
    'false positives of the guard that are allowed: exact texts, for one tenant, for a time',
  );
  guards
    .command('allow')
    .description('allow what a detector finds in exactly this text; a keyed digest of it is kept, the text is not')
    .argument('[file]', 'file with the text; - or nothing for stdin', '-')
    .requiredOption('--detector <name>', 'whose finding: injection')
    .option('--category <name>', 'only this category; without it all that the detector finds')
    .addOption(new Option('--stage <stage>', 'where the text stands').choices(['input', 'output', 'document', 'tool']).default('input'))
    .option('--tenant <tenant>', 'for whom', 'default')
    .option('--model <name>', 'by the policy of this model, where it has one of its own')
    .option('--endpoint <id>', 'by the policy of this endpoint: openai.chat')
    .requiredOption('--reason <text>', 'why; kept with it')
    .option('--expires <duration>', 'how long, at most 365d', '90d')
    .option('--json', 'print one JSON array')
    .addHelpText(
      'after',
      '\nWhat injection, characters, normalise, length and content find is allowed in the whole text and nowhere else, what others find is allowed by itself.\n\nExample:\n  $ sallyport guards allow --detector injection --reason "training page of the security team" page.txt',
    )
    .action(async (file: string, { expires, json, ...wanted }: AllowOptions, command: Command) => {
      const text = readFileSync(file === '-' ? 0 : file, 'utf8');
      const expiresAt = Date.now() + parseDuration(expires, '--expires');
      const made = await withService(command, ({ service, actor }) => service.allowances.allow(actor, { ...wanted, text, expiresAt }));
      result(json === true, made, () => describe(made));
    });
  guards
    .command('list')
    .description('what is, or was, allowed')
    .option('--tenant <tenant>', 'of this tenant')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport guards list')
    .action(async ({ tenant, json }: { tenant?: string; json?: boolean }, command: Command) => {
      const list = await withService(command, ({ service, actor }) => service.allowances.list(actor, tenant ?? null));
      result(json === true, list, () => describe(list));
    });
  guards
    .command('revoke')
    .description('take an allowance back')
    .argument('<id>', 'id of the allowance')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport guards revoke a_3f09c1d2e4b5a697')
    .action(async (id: string, { json }: { json?: boolean }, command: Command) => {
      const ended = await withService(command, ({ service, actor }) => service.allowances.revoke(actor, id));
      result(json === true, ended, () => describe([ended]));
    });
  return guards;
}

function describe(list: readonly AllowanceView[]): string {
  return table(
    ['ID', 'TENANT', 'FINDING', 'UNTIL', 'BY', 'STATE', 'REASON'],
    list.map(({ id, tenant, detector, category, expiresAt, createdBy, revokedAt, reason }) => [
      id,
      tenant,
      `${detector}/${category}`,
      formatTime(expiresAt),
      createdBy,
      revokedAt !== null ? 'revoked' : expiresAt <= Date.now() ? 'expired' : 'in force',
      reason,
    ]),
  );
}
