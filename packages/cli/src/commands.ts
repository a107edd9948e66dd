import type { Command } from 'commander';

/** Commands by name, each with what loads it. */
export type CommandTable = Readonly<Record<string, (args: readonly string[]) => Promise<Command>>>;

const HELP = /^(?:-h|--help|help)$/;

/**
 * Adds those of the commands whose name stands anywhere in the arguments, since any other cannot be meant; all of them where none does or
 * help is asked for first, so that it knows the rest.
 */
export async function addCommands(parent: Command, table: CommandTable, args: readonly string[]): Promise<void> {
  const names = Object.keys(table);
  const named = HELP.test(args[0] ?? '') ? [] : names.filter((name) => args.includes(name));
  for (const name of named.length === 0 ? names : named) {
    const command = await table[name]?.(args);
    if (command !== undefined) parent.addCommand(command);
  }
}
