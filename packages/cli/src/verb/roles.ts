import { Command } from 'commander';
import { result, table } from '../terminal.ts';
import { withService } from './options.ts';

export function rolesCommand(): Command {
  const roles = new Command('roles').description('what each role permits');
  roles
    .command('list')
    .description('built-in, configured and custom roles')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport roles list')
    .action(async (options: { json?: boolean }, command: Command) => {
      const list = await withService(command, ({ service, actor }) => service.roles.list(actor));
      result(options.json === true, list, () =>
        table(
          ['ROLE', 'ORIGIN', 'MODELS', 'ACTIONS'],
          list.map((role) => [role.name, role.origin, role.models?.join(',') ?? '*', role.actions.join(' ')]),
        ),
      );
    });
  return roles;
}
