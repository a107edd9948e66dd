import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { ConfigError, importLiteLlm, loadConfig, parseConfig, printConfig } from '@sallyport/control';
import { temporaryDirectory } from '@sallyport/testkit/tempdir';
import fc from 'fast-check';

function refusal(text: string): string {
  try {
    parseConfig(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  assert.fail(`accepted: ${text.slice(0, 80)}`);
}

describe('YAML that is refused', () => {
  const cases: readonly (readonly [title: string, text: string, said: RegExp])[] = [
    ['a key twice', 'listen: {}\nlisten: {}', /line 2: .*key that is there twice/],
    ['a key twice further in', 'http: { maxBodyBytes: 2000, maxBodyBytes: 3000 }', /key that is there twice/],
    ['several documents', 'listen: {}\n---\nlisten: {}', /one YAML document/],
    ['an unknown tag', 'listen: !!python/object/apply:os.system ["id"]', /unknown tag/],
    ['a tag of our own making', 'listen: !secret x', /unknown tag/],
    ['a binary tag', 'listen: !!binary aGVsbG8=', /unknown tag/],
    ['a key that is no text', '{ [a, b]: 1 }', /key that is not a text/],
    ['a merge key', 'a: &a { b: 1 }\nlisten: { <<: *a }', /unknown key '<<'/],
    ['brackets left open', 'listen: [', /YAML 1.2 document/],
    ['a quote left open', 'listen: "', /YAML 1.2 document/],
    ['a tab as indentation', 'listen:\n\tgateway: x', /YAML 1.2 document/],
    ['an alias of nothing', 'listen: *gone', /YAML 1.2 document|aliases/],
    ['a control character', 'listen: "\u0000"', /listen/],
    ['flow nesting of 100,000', '['.repeat(100_000), /nesting/],
    ['closed flow nesting', `listen: ${'['.repeat(60)}${']'.repeat(60)}`, /nesting/],
    ['block nesting of 10,000', `${'- '.repeat(10_000)}x`, /nesting/],
    ['nested mappings', Array.from({ length: 200 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), /nesting/],
    ['nested explicit keys', '? '.repeat(10_000), /nesting/],
    ['more than a mebibyte', `# ${'x'.repeat(1_048_576)}`, /at most 1 MiB/],
  ];
  for (const [title, text, said] of cases) test(title, () => assert.match(refusal(text), said));

  test('a billion laughs', () => {
    const bomb = Array.from(
      { length: 12 },
      (_, level) => `k${level}: &a${level} [${Array.from({ length: 9 }, () => (level === 0 ? 'lol' : `*a${level - 1}`)).join(', ')}]`,
    );
    assert.match(refusal(bomb.join('\n')), /aliases/);
  });

  test('a thousand aliases of one anchor', () => {
    assert.match(refusal(`a: &a x\nb: [${Array.from({ length: 1000 }, () => '*a').join(', ')}]`), /at most 100 aliases/);
  });

  test('an anchor that contains itself', () => {
    assert.match(refusal('listen: &a { gateway: *a }'), /listen|alias/);
  });
});

describe('YAML 1.2 as it is', () => {
  test('JSON is YAML; a byte order mark and CRLF are fine; `no` and `1:30` are texts', () => {
    assert.deepEqual(parseConfig('{"http":{"maxBodyBytes":2048}}').config.http.maxBodyBytes, 2048);
    assert.deepEqual(parseConfig('\ufeffhttp:\r\n  maxBodyBytes: 2048\r\n').config.http.maxBodyBytes, 2048);
    assert.match(refusal('guards: { deny: [{ name: a, pattern: b, ignoreCase: no }] }'), /only true and false/);
    assert.equal(parseConfig('upstreams: [{ name: no, kind: demo }]').config.upstreams[0]?.name, 'no');
  });

  test('a few aliases may be used', () => {
    const { config } = parseConfig(
      'upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: &n m, upstream: u }, { name: o, upstream: u, fallback: [*n] }]',
    );
    assert.deepEqual(config.models[1]?.fallback, ['m']);
  });

  test('names such as __proto__ are only names', () => {
    assert.match(refusal('__proto__: { polluted: 1 }'), /unknown key '__proto__'/);
    assert.match(refusal('listen: { __proto__: { gateway: x } }'), /unknown key '__proto__'/);
    assert.match(refusal('http: { constructor: 1, timeouts: { toString: 1s } }'), /unknown key 'constructor'/);
    assert.equal(Reflect.get({}, 'polluted'), undefined);
  });
});

describe('files', () => {
  test('what cannot be read is a ConfigError that names the file', async () => {
    await using directory = await temporaryDirectory();
    const refused = (path: string): string => {
      try {
        loadConfig(path);
      } catch (error) {
        assert.ok(error instanceof ConfigError);
        return error.message;
      }
      assert.fail('accepted');
    };
    assert.match(refused(directory.file('none.yaml')), /ENOENT/);
    assert.match(refused(directory.path), /no file/);
    await writeFile(directory.file('latin1.yaml'), Buffer.from([0x61, 0xff, 0xfe]));
    assert.match(refused(directory.file('latin1.yaml')), /UTF-8/);
    await writeFile(directory.file('big.yaml'), Buffer.alloc(1_100_000, 0x20));
    assert.match(refused(directory.file('big.yaml')), /1 MiB/);
  });

  test('references that lead nowhere are warnings: the secrets may be on another machine', async () => {
    await using directory = await temporaryDirectory();
    const text = `upstreams: [{ name: u, kind: vllm, url: "https://h", credential: "file:gone" }]
models: [{ name: m, upstream: u }]
storage: { url: "postgres://u@h/d", password: "env:SALLYPORT_TEST_NOT_SET" }`;
    await writeFile(directory.file('sallyport.yaml'), text);
    const { warnings } = loadConfig(directory.file('sallyport.yaml'));
    assert.deepEqual(
      warnings.map(({ path }) => path),
      ['upstreams[0].credential', 'storage.password'],
    );
    assert.match(warnings[1]?.message ?? '', /not set/);
  });

  test('relative paths are relative to the file', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.file('sallyport.yaml'), 'audit: { directory: log }\nstorage: { url: "sqlite:s.db" }');
    const { config } = loadConfig(directory.file('sallyport.yaml'));
    assert.equal(config.audit.directory, directory.file('log'));
    assert.equal(config.storage.url, `sqlite:${directory.file('s.db')}`);
  });
});

/** Runs `read` and lets nothing but `ConfigError` pass. */
function onlyConfigError<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof ConfigError, error instanceof Error ? error.stack : String(error));
    assert.ok(error.problems.length > 0);
    return null;
  }
}

/** Values that are nearly right: the known keys with anything under them. */
const KEYS = [
  'listen',
  'gateway',
  'tls',
  'cert',
  'key',
  'http',
  'timeouts',
  'headers',
  'corsOrigins',
  'trustedProxies',
  'upstreams',
  'name',
  'kind',
  'url',
  'credential',
  'pins',
  'models',
  'upstream',
  'fallback',
  'identity',
  'issuers',
  'issuer',
  'audience',
  'jwksUri',
  'claims',
  'roleMap',
  'certificates',
  'spiffeId',
  'roles',
  'actions',
  'limits',
  'per',
  'tokens',
  'window',
  'guards',
  'input',
  'deny',
  'pattern',
  'storage',
  'password',
  'counters',
  'audit',
  'exporters',
  '__proto__',
  'constructor',
  '',
];
const TEXTS = [
  'a',
  'b',
  'demo',
  'ollama',
  'http://127.0.0.1:1',
  'https://u:p@h/v1?q',
  'env:A',
  'file:/x',
  '1m',
  '10.0.0.0/8',
  '127.0.0.1:1',
  '[::1]:2',
  'user',
  'owner',
  'key',
  'model.infer',
  'sha256/',
  'a*',
  '(',
  '\u0000',
  '\ud800',
  '__proto__',
  '',
];
const { value: nearly } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...TEXTS),
    fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string()),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.constantFrom(...KEYS), tie('value')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

describe('anything at all', () => {
  test('arbitrary text is accepted or refused with a ConfigError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 200 }),
          fc
            .array(
              fc.constantFrom(
                'a: ',
                '- ',
                '\n',
                '  ',
                '&x ',
                '*x',
                '{',
                '}',
                '[',
                ']',
                '"',
                "'",
                '|',
                '>',
                '#',
                '!t ',
                '? ',
                ': ',
                ',',
                '---\n',
                '...',
                '%YAML 1.1\n',
                '\t',
                '0',
                'listen',
                '<<: ',
              ),
            )
            .map((parts) => parts.join('')),
        ),
        (text) => {
          onlyConfigError(() => parseConfig(text));
          onlyConfigError(() => importLiteLlm(text));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('arbitrary structures too, and what is accepted prints and reads as the same', () => {
    fc.assert(
      fc.property(nearly, (value) => {
        const text = JSON.stringify(value) ?? '';
        // Compiling a guard takes far longer than reading the rest: one in ten is enough.
        const options = text.length % 10 === 0 ? {} : { checkGuards: () => [] };
        const parsed = onlyConfigError(() => parseConfig(text, options));
        if (parsed !== null) assert.deepEqual(parseConfig(printConfig(parsed.config), options).config, parsed.config);
      }),
      { numRuns: 1_000 },
    );
  });

  test('so are arbitrary LiteLLM files, whose import is always a configuration', () => {
    const key = fc.constantFrom(
      'model_name',
      'litellm_params',
      'model',
      'api_base',
      'api_key',
      'rpm',
      'tpm',
      'timeout',
      'max_retries',
      'fallbacks',
      'x',
      '__proto__',
    );
    const text = fc.constantFrom(
      'a',
      'b',
      'ollama/a',
      'openai/*',
      'hosted_vllm/m',
      'http://h:1/v1',
      'os.environ/A',
      'sk-1',
      '',
      'claude-1',
      'ftp://x',
      '/',
    );
    const { item } = fc.letrec((tie) => ({
      item: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.integer(),
        fc.constant(null),
        fc.array(tie('item'), { maxLength: 3 }),
        fc.array(fc.tuple(key, tie('item')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
      ),
    }));
    const model = fc.record({
      model_name: fc.constantFrom('a', 'b', 'c'),
      litellm_params: fc.record(
        {
          model: fc.constantFrom('ollama/x', 'openai/y', 'anthropic/z', 'hosted_vllm/w'),
          api_base: fc.constantFrom('http://h:1', 'http://i:2/v1'),
          api_key: item,
          rpm: item,
          timeout: item,
          max_retries: item,
        },
        { requiredKeys: ['model', 'api_base'] },
      ),
    });
    const names = fc.array(fc.constantFrom('a', 'b', 'c', 'a@2', '*'), { maxLength: 3 });
    const fallbacks = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'c', '*'), names).map(([name, to]) => ({ [name]: to })),
      { maxLength: 4 },
    );
    const file = fc.record({
      model_list: fc.oneof(item, fc.array(model, { maxLength: 5 })),
      litellm_settings: fc.oneof(item, fc.record({ fallbacks, default_fallbacks: names, request_timeout: item })),
      router_settings: fc.record({
        model_group_alias: fc.dictionary(fc.constantFrom('a', 'd', 'e', 'x y'), fc.constantFrom('a', 'b', 'gone')),
        num_retries: item,
      }),
      general_settings: fc.record({ max_request_size_mb: item, max_parallel_requests: item, master_key: item }),
      guardrails: item,
    });
    fc.assert(
      fc.property(file, (value) => {
        const imported = importLiteLlm(JSON.stringify(value));
        assert.ok(parseConfig(imported.yaml).config);
      }),
      { numRuns: 500 },
    );
  });
});
