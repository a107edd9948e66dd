import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseGuard } from '@sallyport/access';
import { ConfigError, parseConfig, printConfig } from '@sallyport/control';
import { PACKS } from '@sallyport/guard';

const SERVING = 'upstreams: [{ name: up, kind: demo }]\nmodels: [{ name: chat, upstream: up }, { name: public-chat, upstream: up }]\n';
const read = (guards: string): ReturnType<typeof parseConfig> => parseConfig(`${SERVING}guards: ${guards}`);
const refused = (guards: string): string[] => {
  try {
    read(guards);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ path, hint }) => (hint === undefined ? path : `${path} (${hint})`));
  }
};
const warned = (guards: string): string[] => read(guards).warnings.map(({ path }) => path);

describe('guard policies of the configuration', () => {
  test('a pack settles lists and mode, and what stands beside it goes first', () => {
    const { guards } = read('{ pack: strict, mode: transform, output: [normalise, secrets:block] }').config;
    assert.deepEqual(guards.input, PACKS.strict.input);
    assert.deepEqual(guards.output, ['normalise', 'secrets:block']);
    assert.equal(guards.mode, 'transform');
    assert.deepEqual(warned('{ pack: strict }'), []);
  });

  test('an override takes over what it leaves out, changes actions, and is chosen by model, endpoint, role and tenant', () => {
    const { guards } = read(`
  maxTextLength: 5000
  overrides:
    - { name: public, models: ["public-*"], pack: strict }
    - { name: team, roles: [auditor], tenants: [acme], endpoints: [openai.chat], actions: { injection: flag, secrets: block } }
`).config;
    const call = { tenant: 'acme', roles: ['auditor'], model: 'chat', endpoint: 'openai.chat' };
    assert.equal(chooseGuard(guards, call).name, 'team');
    assert.deepEqual(chooseGuard(guards, call).settings.input, [
      'normalise',
      'characters',
      'length',
      'injection:flag',
      'secrets:block',
      'pii',
    ]);
    assert.equal(chooseGuard(guards, call).settings.maxTextLength, 5_000);
    assert.equal(chooseGuard(guards, { ...call, model: 'public-chat' }).settings.mode, 'hold');
    for (const other of [{ roles: ['user'] }, { tenant: 'other' }, { endpoint: 'ollama.chat' }, { endpoint: null }]) {
      assert.equal(chooseGuard(guards, { ...call, ...other }).name, 'default');
    }
  });

  test('an override may leave out a detector that has settings in the base, and a section without its detector is wrong', () => {
    const { config } = read(
      '{ input: [normalise, pii, content], pii: { actions: { email: block } }, content: { actions: { hate: block } }, ' +
        'overrides: [{ name: a, models: [chat], pack: balanced }, { name: b, models: [public-chat], input: [normalise], output: [secrets] }] }',
    );
    const [first, second] = config.guards.overrides ?? [];
    assert.deepEqual([first?.settings.content, first?.settings.pii], [undefined, config.guards.pii]);
    assert.deepEqual([second?.settings.content, second?.settings.pii], [undefined, undefined]);
    assert.notEqual(config.guards.pii, undefined);
    assert.deepEqual(refused('{ input: [normalise], output: [secrets], content: { actions: { hate: block } } }'), ['guards.content']);
    assert.deepEqual(refused('{ overrides: [{ name: a, models: [chat], content: { actions: { hate: block } } }] }'), [
      'guards.overrides[0].content',
    ]);
    assert.deepEqual(parseConfig(printConfig(config)).config.guards, config.guards);
  });

  test('what is wrong is named where it stands', () => {
    assert.deepEqual(refused('{ pack: loose }'), ['guards.pack']);
    assert.deepEqual(refused('{ actions: { telepathy: block } }'), ['guards.actions.telepathy (add it to input or output)']);
    assert.deepEqual(refused('{ actions: { injection: redact } }'), ['guards.input[3]']);
    assert.throws(() => parseConfig('guards: { input: ["pii:maskk"] }'), /expected pii:block, .*pii:mask,.* got "pii:maskk"/);
    assert.deepEqual(refused('{ overrides: [{ name: a, pack: strict }] }'), ['guards.overrides[0] (for all calls write it under guards)']);
    assert.deepEqual(refused('{ overrides: [{ name: a, roles: [nobody] }, { name: a, models: [x] }] }'), [
      'guards.overrides[1].name',
      'guards.overrides[0].roles[0]',
    ]);
    assert.deepEqual(refused('{ overrides: [{ name: a, endpoints: [chat] }] }'), ['guards.overrides[0].endpoints[0]']);
    assert.deepEqual(refused('{ shadow: { input: [telepathy] }, overrides: [{ name: a, models: [x], input: [exfiltration] }] }'), [
      'guards.shadow.input[0]',
      'guards.overrides[0].input[0]',
    ]);
    assert.deepEqual(refused('{ thresholds: { injection: { block: 1.5 } } }'), ['guards.thresholds.injection.block']);
  });

  test('what is weaker than balanced is said once, where it stands', () => {
    assert.deepEqual(warned('{ pack: observe }'), ['guards.mode']);
    assert.deepEqual(warned('{ actions: { injection: flag } }'), ['guards.input']);
    assert.deepEqual(warned('{ input: [normalise, injection, secrets, pii:mask], overrides: [{ name: a, models: [x], mode: hold }] }'), [
      'guards.input',
    ]);
    assert.deepEqual(warned('{ overrides: [{ name: a, models: [x], pack: observe }] }'), ['guards.overrides[0].mode']);
    assert.deepEqual(warned('{ thresholds: { injection: { block: 0.9999 } } }'), ['guards.thresholds.injection.block']);
    assert.deepEqual(warned('{ thresholds: { injection: { block: 0.6 } } }'), []);
    const balanced = 'input: [normalise, characters, length, injection, secrets, pii:mask, content]';
    const output = 'output: [normalise, characters, length, system-prompt, exfiltration, secrets, pii:mask, ';
    assert.deepEqual(warned(`{ ${balanced}, ${output} content:block] }`), ['guards.content'], 'three classes are not looked for there');
    assert.deepEqual(warned(`{ ${balanced}, ${output} content], content: { actions: { hate: block } } }`), ['guards.content']);
    assert.deepEqual(warned(`{ ${balanced}, ${output} content], content: { actions: { violence: block } } }`), []);
    assert.deepEqual(warned(`{ ${balanced}, content: { actions: { hate: block } } }`), [], 'no reply is searched at all');
  });

  test('a fallback under another policy is warned of, since it is inspected by that of the model asked for', () => {
    const models = `upstreams: [{ name: u, kind: demo }]
models: [{ name: plain, upstream: u }, { name: chat, upstream: u, fallback: [plain, chat-small] }, { name: chat-small, upstream: u }]
guards: { overrides: [{ name: strict, `;
    const told = (override: string): readonly string[] =>
      parseConfig(`${models}${override} }] }`)
        .warnings.filter(({ path }) => path.startsWith('models'))
        .map(({ path, message }) => `${path}: ${message}`);
    assert.deepEqual(told("models: ['chat*'], pack: strict"), [
      'models[1].fallback: chat and plain are not under the same guard policies (strict), and what falls back to plain stays under those of chat',
    ]);
    assert.equal(told('models: [chat-small], pack: strict').length, 1);
    assert.deepEqual(told("models: ['chat*', plain], pack: strict"), []);
    assert.deepEqual(told('roles: [user], pack: strict'), []);
  });

  test('a contract is checked, JSON is held, and links are those of the detector', () => {
    const { guards } = read('{ contract: { schema: { type: object } } }').config;
    assert.equal(guards.mode, 'hold');
    const asked = read('{ contract: { requested: true } }').config.guards;
    assert.deepEqual([asked.mode, asked.contract?.requested], ['transform', true], 'only a request that asks for JSON has its reply held');
    const over = read(
      '{ contract: { schema: {} }, overrides: [{ name: a, models: [x], mode: transform }, { name: b, models: [y], pack: balanced }] }',
    );
    assert.deepEqual(
      over.config.guards.overrides?.map(({ settings }) => settings.mode),
      ['hold', 'hold'],
      'a contract that is taken over is held as well',
    );
    assert.deepEqual(read('{ contract: { links: [docs.example.com] } }').config.guards.links, { hosts: ['docs.example.com'], only: true });
    assert.deepEqual(refused('{ contract: { schema: { type: string, pattern: "(?=a)" }, languages: [xx], minLength: 9, maxLength: 3 } }'), [
      'guards.contract.languages[0]',
      'guards.contract.maxLength',
      'guards.contract.languages',
      'guards.contract.schema.pattern',
    ]);
    assert.deepEqual(refused('{ output: [normalise, secrets], links: { only: true }, contract: { links: [a.example] } }'), [
      'guards.links (remove one of them)',
      'guards.contract.links (add exfiltration to output)',
    ]);
  });

  test('content classes have actions of their own, and names that are none are refused', () => {
    const { guards } = read('{ output: [content:block], content: { actions: { self-harm: flag, crime: pass } } }').config;
    assert.deepEqual(guards.content, { actions: { 'self-harm': 'flag', crime: 'pass' } });
    assert.deepEqual(
      parseConfig(printConfig(read('{ input: [content], content: { actions: { hate: block } } }').config)).config.guards.content,
      {
        actions: { hate: 'block' },
      },
    );
    assert.deepEqual(refused('{ input: [content], content: { actions: { telepathy: flag } } }'), ['guards.content.actions.telepathy']);
    assert.deepEqual(refused('{ input: [content], content: { actions: { crime: mask } } }'), ['guards.content.actions.crime']);
    assert.deepEqual(refused('{ content: { actions: { crime: flag } } }'), ['guards.content']);
    assert.throws(
      () => parseConfig('guards: { input: [content], content: { actions: { crim: flag } } }'),
      /one of self-harm, violence, sexual, hate, weapons, crime/,
    );
    assert.deepEqual(refused('{ input: [contents] }'), ['guards.input[0]']);
  });

  test('the printed policies mean the same', () => {
    const { config } = read(`
  shadow: { pack: strict, thresholds: { injection: { flag: 0.2 } } }
  overrides: [{ name: a, models: [chat], actions: { injection: flag }, shadow: { input: [entities] } }, { name: b, tenants: [t], pack: observe, contract: { requested: true, maxLength: 9, links: [docs.example.com] } }]
  contract: { schema: { type: object, properties: { a: { type: string, pattern: "^[a-z]+$" } } }, onBreach: flag }
`);
    assert.deepEqual(parseConfig(printConfig(config)).config.guards, config.guards);
  });
});
