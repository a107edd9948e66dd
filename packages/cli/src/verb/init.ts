import type { IssuedKey } from '@sallyport/control';
import { Command } from 'commander';
import { result } from '../terminal.ts';
import { withService } from './options.ts';

export function initCommand(): Command {
  return new Command('init')
    .description('set the installation up: owner, owner key, first inference key. Both keys are printed once')
    .option('--owner <name>', 'name of the owner', 'owner')
    .option('--email <address>', "the owner's e-mail address")
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExits with 1 where it was set up before.\n\nExample:\n  $ sallyport init --owner ada --json')
    .action(async (options: { owner: string; email?: string; json?: boolean }, command: Command) => {
      const made = await withService(
        command,
        ({ service }) => service.init({ owner: options.owner, ...(options.email === undefined ? {} : { email: options.email }) }),
        { fresh: true },
      );
      const value = {
        installation: made.id,
        owner: { id: made.owner.id, name: made.owner.name },
        ownerKey: shown(made.ownerKey),
        firstKey: shown(made.firstKey),
      };
      result(options.json === true, value, () =>
        [
          'Keep these keys now; they are not shown again.',
          '',
          `owner key   ${value.ownerKey.key}`,
          `first key   ${value.firstKey.key}`,
        ].join('\n'),
      );
    });
}

/** `secret` is what `keys create` calls it; `key` is the older name. */
function shown({ key, secret }: IssuedKey): { readonly id: string; readonly secret: string; readonly key: string } {
  return { id: key.id, secret, key: secret };
}
