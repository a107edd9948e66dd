import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Half } from '../process/serve.ts';
import { UsageError } from '../terminal.ts';
import { globalOptions } from './options.ts';

type ProcessName = 'serve' | 'gateway' | 'control';

const PROCESSES: Readonly<Record<ProcessName, { readonly half: Half; readonly description: string }>> = {
  serve: { half: 'both', description: 'run gateway and control plane in one process' },
  gateway: { half: 'gateway', description: 'run the data plane alone; it serves from its last snapshot while the database is away' },
  control: { half: 'control', description: 'run the control plane alone' },
};

export function serveCommand(name: ProcessName): Command {
  const { half, description } = PROCESSES[name];
  return new Command(name)
    .description(description)
    .option('--writer <name>', "name of this process's ledger log; different for each process that shares a ledger directory", name)
    .addOption(
      new Option('--workers <count>', 'processes that serve the gateway, or auto for one a core').default('1').hideHelp(half === 'control'),
    )
    .addHelpText(
      'after',
      `\nSIGHUP takes up configuration and certificates again, SIGTERM drains. With workers, SIGUSR2 replaces one after the other.\n\nExample:\n  $ sallyport ${name} --config sallyport.yaml`,
    )
    .action(async (options: { writer: string; workers: string }, command: Command) => {
      // Loaded here, so that `--help` starts without the whole data plane.
      const { serve } = await import('../process/serve.ts');
      await serve({ ...globalOptions(command), half, writer: options.writer, workers: parseWorkers(options.workers) });
    });
}

const MAX_WORKERS = 256;

function parseWorkers(text: string): number {
  if (text === 'auto') return availableParallelism();
  const count = Number(text);
  if (!/^[0-9]{1,3}$/.test(text) || count < 1 || count > MAX_WORKERS)
    throw new UsageError(`--workers: expected 1 to ${MAX_WORKERS} or auto, got ${text}`);
  return count;
}
