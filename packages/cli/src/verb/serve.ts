import { Command } from 'commander';
import type { Half } from '../process/serve.ts';
import { globalOptions } from './options.ts';

const PROCESSES: readonly { readonly name: string; readonly half: Half; readonly description: string }[] = [
  { name: 'serve', half: 'both', description: 'run gateway and control plane in one process' },
  {
    name: 'gateway',
    half: 'gateway',
    description: 'run the data plane alone; it serves from its last snapshot while the database is away',
  },
  { name: 'control', half: 'control', description: 'run the control plane alone' },
];

export function serveCommands(): Command[] {
  return PROCESSES.map(({ name, half, description }) =>
    new Command(name)
      .description(description)
      .option('--writer <name>', "name of this process's ledger log; different for each process that shares a ledger directory", name)
      .addHelpText(
        'after',
        `\nSIGHUP takes up configuration and certificates again, SIGTERM drains.\n\nExample:\n  $ sallyport ${name} --config sallyport.yaml`,
      )
      .action(async (options: { writer: string }, command: Command) => {
        // Loaded here, so that the other verbs start without the whole data plane.
        const { serve } = await import('../process/serve.ts');
        await serve({ ...globalOptions(command), half, writer: options.writer });
      }),
  );
}
