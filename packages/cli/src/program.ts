import { Command, type CommanderError } from 'commander';
import { addCommands, type CommandTable } from './commands.ts';
import { EXIT, UsageError } from './terminal.ts';
import { VERSION } from './version.ts';

/** The nouns in the order of `--help`. Each is loaded when it is asked for: all of them together take half a second of a processor. */
const COMMANDS: CommandTable = {
  serve: async () => (await import('./verb/serve.ts')).serveCommand('serve'),
  gateway: async () => (await import('./verb/serve.ts')).serveCommand('gateway'),
  control: async () => (await import('./verb/serve.ts')).serveCommand('control'),
  init: async () => (await import('./verb/init.ts')).initCommand(),
  config: async () => (await import('./verb/config.ts')).configCommand(),
  keys: async () => (await import('./verb/keys.ts')).keysCommand(),
  users: async () => (await import('./verb/users.ts')).usersCommand(),
  roles: async () => (await import('./verb/roles.ts')).rolesCommand(),
  policy: async () => (await import('./verb/policy.ts')).policyCommand(),
  prompts: async () => (await import('./verb/prompts.ts')).promptsCommand(),
  guards: async () => (await import('./verb/guards.ts')).guardsCommand(),
  inspect: async () => (await import('./verb/inspect.ts')).inspectCommand(),
  models: async (args) => (await import('./verb/models.ts')).modelsCommand(args),
  audit: async () => (await import('./verb/audit.ts')).auditCommand(),
  limits: async () => (await import('./verb/limits.ts')).limitsCommand(),
  risk: async () => (await import('./verb/risk.ts')).riskCommand(),
  doctor: async () => (await import('./verb/doctor.ts')).doctorCommand(),
};

/**
 * The command tree for these arguments: whatever of it they can mean. Wrong use throws `UsageError`; nothing exits the process by itself
 * but `--help` and `--version`.
 */
export async function buildProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('sallyport')
    .description('The security platform for self-hosted AI: one guarded door between clients and models.')
    .version(VERSION, '-V, --version', 'print the version')
    .option('-c, --config <file>', 'configuration file (SALLYPORT_CONFIG; default: sallyport.yaml where there is one)')
    .option('--log-level <level>', 'debug, info, warn or error (SALLYPORT_LOG_LEVEL)', process.env['SALLYPORT_LOG_LEVEL'] ?? 'warn')
    .showHelpAfterError('(add --help for an example)')
    .addHelpText(
      'after',
      '\nData is kept in .sallyport, or in the directory SALLYPORT_HOME names.\n\nExample:\n  $ sallyport serve --config sallyport.yaml',
    );
  await addCommands(program, COMMANDS, args);
  throwUsage(program);
  return program;
}

function throwUsage(command: Command): void {
  command.exitOverride((error: CommanderError) => {
    if (error.exitCode === 0) process.exit(EXIT.done);
    throw new UsageError(error.code === 'commander.help' ? `${command.name()} needs a verb; see ${command.name()} --help` : '');
  });
  for (const child of command.commands) throwUsage(child);
}
