import type { GuardView, Question } from '@sallyport/control';
import { Command } from 'commander';
import { EXIT, result, table, UsageError } from '../terminal.ts';
import { collect, withService } from './options.ts';

interface ExplainOptions {
  readonly key?: string;
  readonly user?: string;
  readonly role?: string[];
  readonly action: string;
  readonly model?: string;
  readonly resource?: string;
  readonly address?: string;
  readonly endpoint?: string;
  readonly json?: boolean;
}

export function policyCommand(): Command {
  const policy = new Command('policy').description('whether and why a call is permitted or denied');
  withQuestion(policy.command('check').description('whether a call is permitted: one line. Exits with 1 where it is denied'))
    .addHelpText('after', '\nExample:\n  $ sallyport policy check --key 4f7k2m9x1c3d --action model.infer --model llama3.2')
    .action(async (options: ExplainOptions, command: Command) => {
      const { decision } = await withService(command, ({ service, actor }) => service.policy.explain(actor, question(options)));
      process.exitCode = decision.effect === 'permit' ? EXIT.done : EXIT.refused;
      result(options.json === true, decision, () => `${decision.effect} by ${decision.rule}`);
    });
  withQuestion(
    policy.command('explain').description('which rule decides, and every rule that was looked at. Exits with 1 where the call is denied'),
  )
    .addHelpText('after', '\nExample:\n  $ sallyport policy explain --role inference-only --action model.manage --model llama3.2')
    .action(async (options: ExplainOptions, command: Command) => {
      const explanation = await withService(command, ({ service, actor }) => service.policy.explain(actor, question(options)));
      const { decision, considered, guard } = explanation;
      process.exitCode = decision.effect === 'permit' ? EXIT.done : EXIT.refused;
      result(options.json === true, explanation, () =>
        [
          `${decision.effect} by ${decision.rule}${decision.effect === 'deny' ? `: ${decision.reason}` : ''}`,
          '',
          table(
            ['', 'RULE', 'SAYS', 'WHY'],
            considered.map((rule) => [rule.decides ? '>' : '', rule.rule, rule.effect, rule.reason]),
          ),
          ...(guard === null ? [] : ['', ...describeGuard(guard)]),
        ].join('\n'),
      );
    });
  return policy;
}

function describeGuard({ policy, mode, input, output, shadow, weaker }: GuardView): string[] {
  return [
    `guard policy ${policy}, ${mode}${shadow ? ', a candidate beside it' : ''}`,
    `  input   ${input.join(', ')}`,
    `  output  ${output.join(', ')}`,
    ...weaker.map((message) => `  weaker than balanced: ${message}`),
  ];
}

function withQuestion(command: Command): Command {
  return command
    .option('--key <id>', 'as this key')
    .option('--user <id>', 'as this user')
    .option('--role <role>', 'as somebody with this role (again for more)', collect)
    .requiredOption('--action <action>', 'what is asked for, for instance model.infer')
    .option('--model <name>', 'of which model')
    .option('--resource <kind:name>', 'or of what else, for instance key:4f7k2m9x1c3d')
    .option('--address <ip>', 'from where')
    .option('--endpoint <id>', 'at which endpoint, for the guard policy: openai.chat')
    .option('--json', 'print one JSON object');
}

function question(options: ExplainOptions): Question {
  const subjects = [options.key, options.user, options.role].filter((subject) => subject !== undefined);
  if (subjects.length !== 1) throw new UsageError('give exactly one of --key, --user and --role');
  const [kind = 'model', name = options.model ?? '*'] = options.resource?.split(':', 2) ?? [];
  return {
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.role === undefined ? {} : { roles: options.role }),
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    action: options.action,
    resource: { kind, name },
  };
}
