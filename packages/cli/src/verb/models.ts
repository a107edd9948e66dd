import { Command } from 'commander';
import { addCommands, type CommandTable } from '../commands.ts';

const VERBS: CommandTable = {
  scan: async () => (await import('./models-scan.ts')).scanCommand(),
  sign: async () => (await import('./models-sign.ts')).signCommand(),
  verify: async () => (await import('./models-sign.ts')).verifyCommand(),
  bom: async () => (await import('./models-bom.ts')).bomCommand(),
};

export async function modelsCommand(args: readonly string[]): Promise<Command> {
  const models = new Command('models').description('model files: what is in them, who signed them, what they are made of');
  await addCommands(models, VERBS, args.slice(args.indexOf('models') + 1));
  return models;
}
