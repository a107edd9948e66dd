import { readFileSync } from 'node:fs';
import type { PromptView } from '@sallyport/control';
import { Command } from 'commander';
import { EXIT, print, result, table, tell, UsageError } from '../terminal.ts';
import { formatTime, withService } from './options.ts';

/** `sallyport prompts`: system prompts, kept encrypted and put in by the gateway where a model's route names one. */
export function promptsCommand(): Command {
  const prompts = new Command('prompts').description('system prompts: kept encrypted, put in by the gateway, never sent to a client');
  prompts
    .command('put')
    .description('add a version; a model is given it by prompt: NAME in its configuration')
    .argument('<name>', 'name of the prompt')
    .argument('[file]', 'file to read; - or nothing for stdin', '-')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport prompts put support support-prompt.txt')
    .action(async (name: string, file: string, options: { json?: boolean }, command: Command) => {
      const text = readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '');
      const made = await withService(command, ({ service, actor }) => service.prompts.put(actor, name, text));
      result(options.json === true, made, () => `${made.name}@${made.version}`);
    });
  prompts
    .command('list')
    .description('the newest version of each, without its words')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport prompts list')
    .action(async (options: { json?: boolean }, command: Command) => {
      const list = await withService(command, ({ service, actor }) => service.prompts.list(actor));
      result(options.json === true, list, () => versions(list));
    });
  prompts
    .command('history')
    .description('every version, newest first, without its words')
    .argument('<name>', 'name of the prompt')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport prompts history support')
    .action(async (name: string, options: { json?: boolean }, command: Command) => {
      const list = await withService(command, ({ service, actor }) => service.prompts.history(actor, name));
      result(options.json === true, list, () => versions(list));
    });
  prompts
    .command('show')
    .description('the words of a version')
    .argument('<name>', 'name of the prompt')
    .option('--version-number <n>', 'the newest where it is left out')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport prompts show support --version-number 3')
    .action(async (name: string, options: { versionNumber?: string; json?: boolean }, command: Command) => {
      const version = parseVersion(options.versionNumber);
      const prompt = await withService(command, ({ service, actor }) => service.prompts.show(actor, name, version));
      result(options.json === true, prompt, () => prompt.text);
    });
  prompts
    .command('check')
    .description(
      'look for credentials, personal data and internal names in a prompt, and try the configured guard against those who ask for it',
    )
    .argument('<name>', 'name of the prompt')
    .option('--version-number <n>', 'the newest where it is left out')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExits with 1 where something is found or a form of leak gets out.\n\nExample:\n  $ sallyport prompts check support',
    )
    .action(async (name: string, options: { versionNumber?: string; json?: boolean }, command: Command) => {
      const version = parseVersion(options.versionNumber);
      const check = await withService(command, ({ service, actor }) => service.prompts.check(actor, name, version));
      if (check.findings.length > 0 || check.leaks.missed.length > 0) process.exitCode = EXIT.refused;
      if (options.json === true) {
        print(JSON.stringify(check));
        return;
      }
      if (check.findings.length > 0) {
        print(
          table(
            ['LINE', 'CATEGORY', 'SEVERITY', 'START', 'END'],
            check.findings.map(({ line, category, severity, start, end }) => [
              String(line),
              category,
              severity,
              String(start),
              String(end),
            ]),
          ),
        );
      }
      const { probes, leaks } = check;
      tell(`${probes.total} requests for it: the input guard blocks ${probes.blocked} and flags ${probes.flagged} more.`);
      tell(
        `${leaks.forms} forms of leak: ${leaks.missed.length === 0 ? 'all are found in a reply' : `not found: ${leaks.missed.join(', ')}`}.`,
      );
    });
  return prompts;
}

function versions(list: readonly PromptView[]): string {
  return table(
    ['PROMPT', 'VERSION', 'LENGTH', 'MADE', 'BY'],
    list.map(({ name, version, units, createdAt, createdBy }) => [name, String(version), String(units), formatTime(createdAt), createdBy]),
  );
}

function parseVersion(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--version-number: expected a number from 1, got ${text}`);
  return Number(text);
}
