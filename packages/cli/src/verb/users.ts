import type { NewUser } from '@sallyport/control';
import { Command } from 'commander';
import { result, table } from '../terminal.ts';
import { collect, withService } from './options.ts';

export function usersCommand(): Command {
  const users = new Command('users').description('people: create, list, disable');
  users
    .command('create')
    .description('add a person')
    .requiredOption('--name <name>', 'unique within the tenant')
    .option('--role <role>', 'role (again for more); default: user', collect)
    .option('--email <address>', 'e-mail address')
    .option('--team <team>', 'team')
    .option('--tenant <tenant>', 'tenant')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport users create --name grace --role prompt-author')
    .action(
      async (
        options: { name: string; role?: string[]; email?: string; team?: string; tenant?: string; json?: boolean },
        command: Command,
      ) => {
        const { name, role, email, team, tenant } = options;
        const given: NewUser = {
          name,
          roles: role ?? ['user'],
          ...(email === undefined ? {} : { email }),
          ...(team === undefined ? {} : { team }),
          ...(tenant === undefined ? {} : { tenant }),
        };
        const user = await withService(command, ({ service, actor }) => service.users.create(actor, given));
        result(options.json === true, user, () => `User ${user.name} has the id ${user.id}.`);
      },
    );
  users
    .command('list')
    .description('everybody, newest first (500 at most)')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport users list')
    .action(async (options: { json?: boolean }, command: Command) => {
      const page = await withService(command, ({ service, actor }) => service.users.list(actor, { limit: 500 }));
      result(options.json === true, page.items, () =>
        table(
          ['ID', 'NAME', 'STATUS', 'TENANT', 'ROLES'],
          page.items.map((user) => [user.id, user.name, user.status, user.tenant, user.roles.join(',')]),
        ),
      );
    });
  users
    .command('disable')
    .description('end a person and every key of theirs')
    .argument('<id>', 'id of the user')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport users disable 8c1f...')
    .action(async (id: string, options: { json?: boolean }, command: Command) => {
      const ended = await withService(command, ({ service, actor }) => service.users.disable(actor, id));
      result(options.json === true, ended, () => `User ${ended.user.name} is disabled; ${ended.endedKeys.length} keys ended.`);
    });
  return users;
}
