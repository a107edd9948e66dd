import { readFileSync, writeFileSync } from 'node:fs';
import { CONFIG_JSON_SCHEMA, ConfigError, formatProblem, importLiteLlm, printConfig } from '@sallyport/control';
import { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, print, result, tell } from '../terminal.ts';
import { globalOptions } from './options.ts';

export function configCommand(): Command {
  const config = new Command('config').description('the configuration file: check, print, schema, import');
  config
    .command('check')
    .description('report every problem at once. Exits with 1 where there is one, with 2 where the file could not be read')
    .argument('[file]', 'the file; default: the one of --config, SALLYPORT_CONFIG or sallyport.yaml')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport config check sallyport.yaml')
    .action(async (file: string | undefined, options: { json?: boolean }, command: Command) => {
      const { place } = globalOptions(command);
      try {
        const { warnings } = await readConfig(file === undefined ? place : { ...place, configFile: file }, false);
        result(options.json === true, { ok: true, problems: [], warnings }, () =>
          [
            'The configuration is sound.',
            ...warnings.map((warning) => `warning: ${warning.path}: ${warning.message}: ${warning.fix}`),
          ].join('\n'),
        );
      } catch (error) {
        // A file that cannot be read was not checked.
        if (!(error instanceof ConfigError) || error.cause !== undefined) throw error;
        process.exitCode = EXIT.refused;
        result(options.json === true, { ok: false, problems: error.problems, warnings: [] }, () =>
          error.problems.map(formatProblem).join('\n'),
        );
      }
    });
  config
    .command('print')
    .description('the effective configuration with every default; secrets stay references')
    .option('--json', 'print {"yaml"} as one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport config print > effective.yaml')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { place } = globalOptions(command);
      const { config: effective } = await readConfig(place, place.configFile === null);
      const yaml = printConfig(effective);
      if (options.json === true) print(JSON.stringify({ yaml }));
      else process.stdout.write(yaml);
    });
  config
    .command('schema')
    .description('the JSON Schema of the file, for editors')
    .option('--json', 'on one line')
    .addHelpText('after', '\nExample:\n  $ sallyport config schema > sallyport.schema.json')
    .action((options: { json?: boolean }) =>
      result(options.json === true, CONFIG_JSON_SCHEMA, () => JSON.stringify(CONFIG_JSON_SCHEMA, null, 2)),
    );
  const imports = config.command('import').description("make a configuration from another product's");
  imports
    .command('litellm')
    .description('from a LiteLLM config.yaml; what could not be carried over is listed')
    .argument('<file>', 'the LiteLLM configuration')
    .option('-o, --output <file>', 'write here instead of to stdout; never overwrites')
    .option('--json', 'print {"yaml","carried","dropped"} as one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport config import litellm config.yaml -o sallyport.yaml')
    .action((file: string, options: { output?: string; json?: boolean }) => {
      const imported = importLiteLlm(readFileSync(file, 'utf8'), { env: process.env });
      if (options.output !== undefined) writeFileSync(options.output, imported.yaml, { flag: 'wx', mode: 0o600 });
      if (options.json === true) print(JSON.stringify({ yaml: imported.yaml, carried: imported.carried, dropped: imported.dropped }));
      else if (options.output === undefined) process.stdout.write(imported.yaml);
      tell(`Carried over: ${imported.carried.length}. Not carried over: ${imported.dropped.length}.`);
      for (const { path, note } of imported.dropped) tell(`  ${path}: ${note}`);
    });
  return config;
}
