import { Command, type CommanderError } from 'commander';
import { EXIT, UsageError } from './terminal.ts';
import { auditCommand } from './verb/audit.ts';
import { configCommand } from './verb/config.ts';
import { doctorCommand } from './verb/doctor.ts';
import { initCommand } from './verb/init.ts';
import { inspectCommand } from './verb/inspect.ts';
import { keysCommand } from './verb/keys.ts';
import { limitsCommand } from './verb/limits.ts';
import { modelsCommand } from './verb/models.ts';
import { policyCommand } from './verb/policy.ts';
import { promptsCommand } from './verb/prompts.ts';
import { riskCommand } from './verb/risk.ts';
import { rolesCommand } from './verb/roles.ts';
import { serveCommands } from './verb/serve.ts';
import { usersCommand } from './verb/users.ts';
import { VERSION } from './version.ts';

/** The whole command tree. Wrong use throws `UsageError`; nothing exits the process by itself but `--help` and `--version`. */
export function buildProgram(): Command {
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
  for (const command of serveCommands()) program.addCommand(command);
  for (const make of [
    initCommand,
    configCommand,
    keysCommand,
    usersCommand,
    rolesCommand,
    policyCommand,
    promptsCommand,
    inspectCommand,
    modelsCommand,
    auditCommand,
    limitsCommand,
    riskCommand,
    doctorCommand,
  ]) {
    program.addCommand(make());
  }
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
