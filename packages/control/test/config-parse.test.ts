import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Config, ConfigError, type ConfigProblem, parseConfig, printConfig } from '@sallyport/control';

const DIRECTORY = '/etc/sallyport';
const parse = (text: string): ReturnType<typeof parseConfig> => parseConfig(text, { directory: DIRECTORY });

function problemsOf(text: string): readonly ConfigProblem[] {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

/** A minimal valid file around a piece of one. */
const SERVING = 'upstreams: [{ name: up, kind: ollama, url: "http://127.0.0.1:11434" }]\nmodels: [{ name: chat, upstream: up }]\n';

describe('a good configuration', () => {
  test('the one of the contract, without its later detectors', () => {
    const { config, warnings } = parse(`
listen:   { gateway: 127.0.0.1:7070, control: 127.0.0.1:7071 }
upstreams:
  - name: ollama
    kind: ollama
    url: http://127.0.0.1:11434
    maxConcurrency: 4
models:
  - name: chat
    upstream: ollama
    target: llama3.2
    fallback: [chat-small]
  - { name: chat-small, upstream: ollama }
limits:
  - { per: key, tokens: 100000, window: 1m }
  - { per: user, requests: 100, window: 1m }
storage:  { url: "sqlite:.sallyport/state.db" }
counters: { url: "memory:" }
audit:    { directory: .sallyport/ledger, exporters: [] }
`);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.listen, { gateway: { host: '127.0.0.1', port: 7070 }, control: { host: '127.0.0.1', port: 7071 } });
    assert.equal(config.upstreams[0]?.maxConcurrency, 4);
    assert.deepEqual(config.models, [
      { name: 'chat', upstream: 'ollama', target: 'llama3.2', fallback: ['chat-small'], replicas: [], fallbackAnswer: null },
      { name: 'chat-small', upstream: 'ollama', target: 'chat-small', fallback: [], replicas: [], fallbackAnswer: null },
    ]);
    assert.deepEqual(config.limits, [
      { name: 'tokens/key/1m', per: 'key', quantity: 'tokens', amount: 100_000, window: 60_000, models: null },
      { name: 'requests/user/1m', per: 'user', quantity: 'requests', amount: 100, window: 60_000, models: null },
    ]);
    assert.equal(config.storage.url, 'sqlite:/etc/sallyport/.sallyport/state.db');
    assert.equal(config.audit.directory, '/etc/sallyport/.sallyport/ledger');
  });

  test('an empty file has every default and says that nothing is served', () => {
    for (const text of ['', '# nothing\n', '{}', 'null', 'limits:\nmodels:\n']) {
      const { config, warnings } = parse(text);
      assert.deepEqual(config.listen.gateway, { host: '127.0.0.1', port: 7070 });
      assert.equal(config.tls, null);
      assert.equal(config.guards.onUnavailable, 'block');
      assert.equal(config.storage.url, 'sqlite:/etc/sallyport/.sallyport/state.db');
      assert.deepEqual(
        warnings.map((warning) => warning.path),
        ['models'],
      );
    }
  });

  test('data lies in the home unless the file says otherwise', () => {
    const { config } = parseConfig(SERVING, { directory: DIRECTORY, home: '/var/lib/sallyport' });
    assert.equal(config.storage.url, 'sqlite:/var/lib/sallyport/state.db');
    assert.equal(config.audit.directory, '/var/lib/sallyport/ledger');
  });

  test('several quantities in one limit are several rules; concurrency has no window', () => {
    const { config } = parse(
      `${SERVING}limits: [{ per: key, requests: 5, input-tokens: 7, concurrency: 2, window: 30d, models: [chat, "c*"] }]`,
    );
    assert.deepEqual(
      config.limits.map(({ name, quantity, amount, window }) => [name, quantity, amount, window]),
      [
        ['requests/key/30d/chat+c*', 'requests', 5, 2_592_000_000],
        ['input-tokens/key/30d/chat+c*', 'input-tokens', 7, 2_592_000_000],
        ['concurrency/key/chat+c*', 'concurrency', 2, 0],
      ],
    );
  });

  test('hedging is off unless it says when, and needs another server', () => {
    const text = (model: string): string =>
      `upstreams: [{ name: a, kind: vllm, url: "http://127.0.0.1:1" }, { name: b, kind: vllm, url: "http://127.0.0.1:2" }]\nmodels: [{ name: m, upstream: a, ${model} }]\n`;
    const read = (model: string): unknown => parse(text(model)).config.models[0]?.hedgeAfter;
    assert.deepEqual(
      [read('replicas: [b]'), read('replicas: [b], hedgeAfter: 800ms'), read('replicas: [b], hedgeAfter: p95')],
      [undefined, 800, 'p95'],
    );
    for (const wrong of [
      'hedgeAfter: 1s',
      'replicas: [b], hedgeAfter: 0ms',
      'replicas: [b], hedgeAfter: 11m',
      'replicas: [b], hedgeAfter: p50',
    ]) {
      assert.deepEqual(
        problemsOf(text(wrong)).map(({ path }) => path),
        ['models[0].hedgeAfter'],
        wrong,
      );
    }
  });

  test('URLs lose their trailing slash, relative references become absolute, fingerprints one spelling', () => {
    const { config } = parse(`
upstreams:
  - { name: a, kind: vllm, url: "https://gpu.example.com:8443/base/", credential: "file:keys/vllm", tls: { ca: "file:ca.pem" } }
  - { name: b, kind: llamacpp, socketPath: run/llama.sock }
models: [{ name: m, upstream: a }]
tls: { cert: "file:tls/cert.pem", key: "env:TLS_KEY", clientCa: "file:/ca.pem" }
identity:
  certificates:
    - { name: c, fingerprint: "${Array.from({ length: 32 }, () => 'AB').join(':')}", principal: svc, roles: [user] }
`);
    assert.equal(config.upstreams[0]?.url, 'https://gpu.example.com:8443/base');
    assert.equal(config.upstreams[0]?.credential, 'file:/etc/sallyport/keys/vllm');
    assert.equal(config.upstreams[0]?.tls?.ca, 'file:/etc/sallyport/ca.pem');
    assert.equal(config.upstreams[1]?.url, 'http://localhost');
    assert.equal(config.upstreams[1]?.socketPath, '/etc/sallyport/run/llama.sock');
    assert.deepEqual(config.tls, {
      cert: 'file:/etc/sallyport/tls/cert.pem',
      key: 'env:TLS_KEY',
      clientCa: 'file:/ca.pem',
      minVersion: 'TLSv1.2',
      clientAuth: 'require',
    });
    assert.equal(config.identity.certificates[0]?.fingerprint, 'ab'.repeat(32));
  });

  test('what was found on the machine serves only where the file names neither upstreams nor models', () => {
    const discovered = [
      { name: 'ollama', kind: 'ollama', url: 'http://127.0.0.1:11434', models: [{ name: 'llama3', target: 'llama3' }] },
      { name: 'vllm', kind: 'vllm', url: 'http://127.0.0.1:8000', models: [{ name: 'llama3', target: '/models/llama3' }] },
    ] as const;
    const found = parseConfig('limits: []', { discovered }).config;
    assert.deepEqual(
      found.models.map(({ name, upstream, target }) => [name, upstream, target]),
      [
        ['llama3', 'ollama', 'llama3'],
        ['vllm/llama3', 'vllm', '/models/llama3'],
      ],
    );
    assert.deepEqual(
      parseConfig(SERVING, { discovered }).config.upstreams.map(({ name }) => name),
      ['up'],
    );
  });

  test('the printed configuration means the same', () => {
    const texts = [
      '',
      SERVING,
      `${SERVING}http: { corsOrigins: ["https://a.example"], trustedProxies: [10.0.0.1], timeouts: { drain: 90s } }
limits: [{ per: role, concurrency: 3 }, { name: mine, per: global, requests: 9, tokens: 3, window: 90s }]
roles: [{ name: helper, actions: [model.list, model.infer], models: ["a*"] }]
guards: { mode: hold, deny: [{ name: x, pattern: "a+b", ignoreCase: true, stages: [input], action: flag }], pii: { actions: { email: tokenise }, recognisers: [{ name: t, pattern: "T-[0-9]+", context: [ticket], checksum: luhn, action: hash }] } }
identity: { issuers: [{ name: i, issuer: "https://i.example", audience: [a, b], jwksUri: "https://i.example/k", claims: { roles: a.b }, roleMap: { __proto__: helper, x: user }, clockTolerance: 5s }] }
tls: { cert: "env:C", key: "env:K", clientCa: "env:A", clientAuth: request, minVersion: "1.3" }
storage: { url: "postgres://u@h/d?sslmode=require", password: "env:P" }`,
    ];
    for (const text of texts) {
      const { config } = parse(text);
      const printed = printConfig(config);
      assert.match(printed, /^# yaml-language-server: \$schema=\S+\n/);
      assert.deepEqual(parseConfig(printed, { directory: '/elsewhere' }).config, config);
    }
  });
});

/** What is wrong, and the path of each problem, in the order of the file. */
const BAD: readonly (readonly [title: string, text: string, paths: readonly string[]])[] = [
  ['an unknown section', 'modles: []', ['modles']],
  ['unknown keys at every depth', `${SERVING}http: { timeouts: { header: 1s } }\naudit: { dir: x }`, ['http.timeouts.header', 'audit.dir']],
  ['a list where a mapping belongs', '- a', ['']],
  ['a text', 'hello', ['']],
  ['wrong types', 'upstreams: 3\nmodels: { a: b }\nlisten: []', ['upstreams', 'models', 'listen']],
  ['nulls within a section', 'listen: { gateway: null }', ['listen.gateway']],
  ['listen addresses', 'listen: { gateway: ":7070", control: "300.1.1.1:1" }', ['listen.gateway', 'listen.control']],
  ['an IPv6 address without brackets', 'listen: { gateway: "::1:7070" }', ['listen.gateway']],
  ['a port out of range', 'listen: { gateway: "127.0.0.1:70000" }', ['listen.gateway']],
  ['two planes on one port', 'listen: { gateway: "127.0.0.1:7000", control: "127.0.0.1:7000" }', ['listen.control']],
  ['the same port on every interface', 'listen: { gateway: "0.0.0.0:7000", control: "127.0.0.1:7000" }', ['listen.control']],
  ['a key without a certificate', 'tls: { key: "env:K" }', ['tls.cert']],
  ['a certificate without a key', 'tls: { cert: "env:C" }', ['tls.key']],
  ['client certificates without authorities', 'tls: { cert: "env:C", key: "env:K", clientAuth: require }', ['tls.clientCa']],
  ['TLS 1.0', 'tls: { cert: "env:C", key: "env:K", minVersion: "1.0" }', ['tls.minVersion']],
  ['a TLS version as a number', 'tls: { cert: "env:C", key: "env:K", minVersion: 1.3 }', ['tls.minVersion']],
  ['a private key written out', 'tls: { cert: "env:C", key: "-----BEGIN PRIVATE KEY-----" }', ['tls.key']],
  ['CORS for everybody', 'http: { corsOrigins: ["*"] }', ['http.corsOrigins[0]']],
  ['origins that are no origins', 'http: { corsOrigins: ["https://a.example/", "null"] }', ['http.corsOrigins[0]', 'http.corsOrigins[1]']],
  [
    'an origin no browser would send',
    'http: { corsOrigins: ["https://b.example:443", "https://B.example"] }',
    ['http.corsOrigins[0]', 'http.corsOrigins[1]'],
  ],
  ['proxies that are no addresses', 'http: { trustedProxies: [proxy] }', ['http.trustedProxies[0]']],
  ['a prefix that is too long', 'http: { trustedProxies: [10.0.0.0/33] }', ['http.trustedProxies[0]']],
  ['sizes with units', 'http: { maxBodyBytes: 10MB }', ['http.maxBodyBytes']],
  ['sizes out of range', 'http: { maxBodyBytes: 3, maxHeaderBytes: 99999999 }', ['http.maxBodyBytes', 'http.maxHeaderBytes']],
  [
    'durations without a unit, negative, too long',
    'http: { timeouts: { headers: 10, body: -1s, drain: 99d } }',
    ['http.timeouts.headers', 'http.timeouts.body'],
  ],
  ['a duration out of bounds', 'http: { timeouts: { drain: 99d } }', ['http.timeouts.drain']],
  ['an upstream without anything', 'upstreams: [{}]', ['upstreams[0].name', 'upstreams[0].kind']],
  ['an upstream without a URL', 'upstreams: [{ name: a, kind: vllm }]', ['upstreams[0].url']],
  ['an unknown kind', 'upstreams: [{ name: a, kind: bedrock, url: "http://a" }]', ['upstreams[0].kind']],
  [
    'URL schemes',
    'upstreams: [{ name: a, kind: vllm, url: "ftp://a" }, { name: b, kind: vllm, url: "file:///etc/passwd" }]',
    ['upstreams[0].url', 'upstreams[1].url'],
  ],
  ['credentials in a URL', 'upstreams: [{ name: a, kind: vllm, url: "https://u:p@a" }]', ['upstreams[0].url']],
  ['a query in a URL', 'upstreams: [{ name: a, kind: vllm, url: "https://a/?k=v" }]', ['upstreams[0].url']],
  [
    'a metadata service',
    'upstreams: [{ name: a, kind: vllm, url: "http://169.254.169.254" }, { name: b, kind: vllm, url: "http://0xa9fea9fe/" }, { name: c, kind: vllm, url: "http://[fd00:ec2::254]" }, { name: d, kind: vllm, url: "http://metadata.google.internal" }, { name: e, kind: vllm, url: "http://[::ffff:169.254.169.254]" }]',
    ['upstreams[0].url', 'upstreams[1].url', 'upstreams[2].url', 'upstreams[3].url', 'upstreams[4].url'],
  ],
  [
    'a demo upstream with a server',
    'upstreams: [{ name: a, kind: demo, url: "http://a", credential: "env:A" }]',
    ['upstreams[0].url', 'upstreams[0].credential'],
  ],
  ['TLS settings beside plain HTTP', 'upstreams: [{ name: a, kind: vllm, url: "http://a", tls: { pins: [] } }]', ['upstreams[0].tls']],
  [
    'half a client certificate',
    'upstreams: [{ name: a, kind: vllm, url: "https://a", tls: { key: "env:K" } }, { name: b, kind: vllm, url: "https://b", tls: { cert: "env:C" } }]',
    ['upstreams[0].tls.cert', 'upstreams[1].tls.key'],
  ],
  [
    'pins that are none',
    'upstreams: [{ name: a, kind: vllm, url: "https://a", tls: { pins: ["sha1/AAAA"] } }]',
    ['upstreams[0].tls.pins[0]'],
  ],
  [
    'numbers out of range',
    'upstreams: [{ name: a, kind: vllm, url: "https://a", maxConcurrency: 0, retries: 9, connections: 1.5 }]',
    ['upstreams[0].maxConcurrency', 'upstreams[0].connections', 'upstreams[0].retries'],
  ],
  ['two upstreams of one name', 'upstreams: [{ name: a, kind: demo }, { name: a, kind: demo }]', ['upstreams[1].name']],
  [
    'names with spaces and controls',
    'upstreams: [{ name: "a b", kind: demo }]\nmodels: [{ name: "x\\ny", upstream: a }]',
    ['upstreams[0].name', 'models[0].name'],
  ],
  ['a model of an unknown upstream', 'models: [{ name: a, upstream: nowhere }]', ['models[0].upstream']],
  [
    'an upstream that is wrong otherwise is known',
    'upstreams: [{ name: a, kind: x, url: "http://a" }]\nmodels: [{ name: m, upstream: a }]',
    ['upstreams[0].kind'],
  ],
  [
    'fallbacks that are unknown, itself or twice',
    `${SERVING.replace('upstream: up }', 'upstream: up, fallback: [chat, gone, b, b] }, { name: b, upstream: up }')}`,
    ['models[0].fallback[0]', 'models[0].fallback[1]', 'models[0].fallback[3]'],
  ],
  [
    'fallbacks in a circle',
    'upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: a, upstream: u, fallback: [b] }, { name: b, upstream: u, fallback: [c] }, { name: c, upstream: u, fallback: [a] }]',
    ['models[2].fallback[0]'],
  ],
  ['a wildcard model', 'upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: "*", upstream: u }]', ['models[0].name']],
  ['a limit of nothing', 'limits: [{ per: key, window: 1m }]', ['limits[0]']],
  ['a limit without a window', 'limits: [{ per: key, tokens: 5 }]', ['limits[0].window']],
  ['a window for concurrency', 'limits: [{ per: key, concurrency: 5, window: 1m }]', ['limits[0].window']],
  [
    'windows too short and too long',
    'limits: [{ per: key, tokens: 5, window: 500ms }, { per: user, tokens: 5, window: 32d }]',
    ['limits[0].window', 'limits[1].window'],
  ],
  ['the same limit twice', 'limits: [{ per: key, tokens: 5, window: 1m }, { per: key, tokens: 6, window: 1m }]', ['limits[1].name']],
  [
    'an unknown dimension and quantity',
    'limits: [{ per: planet, tokens: 5, window: 1m }, { per: key, euros: 5, window: 1m }]',
    ['limits[0].per', 'limits[1].euros', 'limits[1]'],
  ],
  [
    'amounts below one and beyond counting',
    'limits: [{ per: key, tokens: 0, requests: 1.5, input-tokens: 1e300, window: 1m }]',
    ['limits[0].requests', 'limits[0].input-tokens', 'limits[0].tokens', 'limits[0]'],
  ],
  [
    'detectors that do not exist',
    'guards: { input: [characters, telepathy], output: [length:redact] }',
    ['guards.input[1]', 'guards.output[0]'],
  ],
  [
    'patterns that cannot be compiled',
    'guards: { deny: [{ name: a, pattern: "(" }, { name: a, pattern: "b" }] }',
    ['guards.deny[0].pattern', 'guards.deny[1].name'],
  ],
  [
    'classes of personal data that do not exist, and recognisers that cannot be',
    'guards: { pii: { actions: { nobody: mask }, recognisers: [{ name: email, pattern: "a" }, { name: ticket, pattern: "(" }] } }',
    ['guards.pii.recognisers[0].name', 'guards.pii.recognisers[1].pattern', 'guards.pii.actions.nobody'],
  ],
  ['settings of a detector that is off', 'guards: { input: [secrets], output: [secrets], pii: { actions: {} } }', ['guards.pii']],
  ['the short name of an unsafe choice', 'guards: { onUnavailable: pass }', ['guards.onUnavailable']],
  ['unknown modes', 'guards: { mode: off, onBlock: ignore }', ['guards.mode', 'guards.onBlock']],
  [
    'a role that is built in, has no actions, unknown ones',
    'roles: [{ name: owner, actions: [model.infer] }, { name: b, actions: [] }, { name: c, actions: [model.steal] }]',
    ['roles[0].name', 'roles[1].actions', 'roles[2].actions[0]'],
  ],
  [
    'an issuer with HMAC, plain HTTP and unknown roles',
    'identity: { issuers: [{ name: i, issuer: "https://i", audience: [a], algorithms: [HS256], jwksUri: "https://i/k", roles: [user] }, { name: j, issuer: "https://j", audience: [a], jwksUri: "http://j.example/k", roles: [wizard] }] }',
    ['identity.issuers[0].algorithms[0]', 'identity.issuers[1].roles[0]', 'identity.issuers[1].jwksUri'],
  ],
  [
    'a role map without its claim',
    'identity: { issuers: [{ name: i, issuer: "https://i", audience: [a], jwksUri: "https://i/k", roleMap: { staff: user } }] }',
    ['identity.issuers[0].claims.roles'],
  ],
  [
    'one issuer and audience twice',
    'identity: { issuers: [{ name: i, issuer: "https://i", audience: [a], jwksUri: "https://i/k", roles: [user] }, { name: j, issuer: "https://i", audience: [b, a], jwksUri: "https://i/k", roles: [user] }] }',
    ['identity.issuers[1].audience'],
  ],
  [
    'a certificate identity without certificates',
    'identity: { certificates: [{ name: c, spiffeId: "spiffe://a/b", principal: p, roles: [user] }] }',
    ['tls.clientCa'],
  ],
  [
    'a certificate identity without a certificate',
    'tls: { cert: "env:C", key: "env:K", clientCa: "env:A" }\nidentity: { certificates: [{ name: c, principal: p, roles: [user] }] }',
    ['identity.certificates[0].spiffeId'],
  ],
  ['an unknown part of identity', 'identity: { saml: {} }', ['identity.saml']],
  ['a database password in the URL', 'storage: { url: "postgres://u:p@h/d" }', ['storage.url']],
  ['a database password written out', 'storage: { url: "postgres://u@h/d", password: hunter2 }', ['storage.password']],
  ['an unknown database', 'storage: { url: "mysql://h/d" }', ['storage.url']],
  ['a password for SQLite', 'storage: { url: "sqlite:a.db", password: "env:P" }', ['storage.password']],
  ['a retention of the ledger of less than a day', 'audit: { retention: 23h }', ['audit.retention']],
  ['a policy for a ledger that is away that is none', 'audit: { onUnavailable: continue }', ['audit.onUnavailable']],
  ['an exporter without anything', 'audit: { exporters: [{ kind: splunk }] }', ['audit.exporters[0].name', 'audit.exporters[0].url']],
  ['an exporter without its token', 'audit: { exporters: [{ name: a, kind: splunk, url: "https://s" }] }', ['audit.exporters[0].token']],
  [
    'object storage without bucket and keys',
    'audit: { exporters: [{ name: a, kind: s3, url: "https://s" }] }',
    ['audit.exporters[0].target', 'audit.exporters[0].username', 'audit.exporters[0].password'],
  ],
  [
    'OAuth without its client and endpoint',
    'audit: { exporters: [{ name: a, kind: kafka, url: "tls://k:9093", target: t, sasl: oauthbearer }] }',
    ['audit.exporters[0].username', 'audit.exporters[0].tokenUrl'],
  ],
  [
    'an OAuth secret in the clear',
    'audit: { exporters: [{ name: a, kind: kafka, url: "tls://k:9093", target: t, sasl: oauthbearer, username: "env:A", password: "env:B", tokenUrl: "http://idp/token" }] }',
    ['audit.exporters[0].tokenUrl'],
  ],
  [
    'a token endpoint that nobody asks',
    'audit: { exporters: [{ name: a, kind: otlp, url: "https://s", tokenUrl: "https://idp/token", scope: x }] }',
    ['audit.exporters[0].tokenUrl', 'audit.exporters[0].scope'],
  ],
  ['syslog over HTTP', 'audit: { exporters: [{ name: a, kind: syslog, url: "https://s" }] }', ['audit.exporters[0].url']],
  ['a stream without a port', 'audit: { exporters: [{ name: a, kind: relp, url: "tls://s" }] }', ['audit.exporters[0].url']],
  [
    'a receiver in the metadata service',
    'audit: { exporters: [{ name: a, kind: otlp, url: "http://169.254.169.254" }] }',
    ['audit.exporters[0].url'],
  ],
  ['credentials in its URL', 'audit: { exporters: [{ name: a, kind: otlp, url: "https://u:p@h" }] }', ['audit.exporters[0].url']],
  [
    'TLS settings without TLS',
    'audit: { exporters: [{ name: a, kind: relp, url: "tcp://h:1", tls: { serverName: h } }] }',
    ['audit.exporters[0].tls'],
  ],
  [
    'half a client certificate',
    'audit: { exporters: [{ name: a, kind: relp, url: "tls://h:1", tls: { cert: "env:C" } }] }',
    ['audit.exporters[0].tls.key'],
  ],
  [
    'a header written out',
    'audit: { exporters: [{ name: a, kind: otlp, url: "https://h", headers: { x-key: secretsecret } }] }',
    ['audit.exporters[0].headers.x-key'],
  ],
  [
    'two exporters of one name',
    'audit: { exporters: [{ name: a, kind: otlp, url: "https://h" }, { name: a, kind: otlp, url: "https://h" }] }',
    ['audit.exporters[1].name'],
  ],
  [
    'a wait without a unit',
    'audit: { exporters: [{ name: a, kind: otlp, url: "https://h", batch: { wait: 5 } }] }',
    ['audit.exporters[0].batch.wait'],
  ],
  ['local shares of nobody knows how many', 'counters: { url: "redis://127.0.0.1", onUnavailable: local }', ['counters.shares']],
  ['what memory has not', 'counters: { url: "memory:", shares: 3 }', ['counters.shares']],
  ['a zone that is none', 'limits: [{ per: key, spend: 5, window: month, timezone: Mars/Base }]', ['limits[0].timezone']],
  ['a zone beside a sliding window', 'limits: [{ per: key, spend: 5, window: 30d, timezone: UTC }]', ['limits[0].timezone']],
  ['a period for what runs', 'limits: [{ per: key, concurrency: 5, window: month }]', ['limits[0].window']],
];

describe('a bad configuration', () => {
  for (const [title, text, paths] of BAD) {
    test(title, () => {
      const problems = problemsOf(text);
      assert.deepEqual(new Set(problems.map((problem) => problem.path)), new Set(paths), JSON.stringify(problems, null, 1));
      for (const problem of problems) {
        assert.ok(problem.expected.length > 0 && problem.got.length > 0);
        // A section that is not in the file has no line.
        if (text.includes(problem.path.split(/[.[]/)[0] || '?')) assert.ok((problem.line ?? 0) >= 1, problem.path);
      }
    });
  }

  test('all problems are reported together, in the order of the file, with their lines', () => {
    const problems = problemsOf(
      'limits:\n  - { per: key, tokens: 1 }\nupstreams:\n  - { name: a, kind: vllm }\n  - { name: a, kind: x }\nfoo: 1\n',
    );
    assert.deepEqual(
      problems.map(({ path, line }) => [path, line]),
      [
        ['limits[0].window', 2],
        ['upstreams[0].url', 4],
        ['upstreams[1].kind', 5],
        ['foo', 6],
      ],
    );
  });

  test('a slip of the pen is named', () => {
    assert.equal(problemsOf('upstream: []')[0]?.hint, 'did you mean upstreams?');
    assert.equal(problemsOf(`${SERVING}http: { maxbodybytes: 1024 }`)[0]?.hint, 'did you mean maxBodyBytes?');
    assert.equal(
      problemsOf('upstreams: [{ name: ollama, kind: demo }]\nmodels: [{ name: a, upstream: olama }]')[0]?.hint,
      'did you mean ollama?',
    );
    assert.match(problemsOf('limits: [{ per: key, tokens: 1, window: 60 }]')[0]?.hint ?? '', /unit/);
  });

  test('no message repeats a secret', () => {
    const secret = 'sk-Zx9Kq2Lm8Vb4Nc6Ty1Ur3';
    const texts = [
      `upstreams: [{ name: a, kind: vllm, url: "https://a", credential: ${secret} }]`,
      `upstreams: [{ name: a, kind: vllm, url: "https://u:${secret}@a" }]`,
      `upstreams: [{ name: a, kind: vllm, url: "gopher://u:${secret}@a" }]`,
      `upstreams: [{ name: a, kind: ${secret}, url: "https://a" }]`,
      `storage: { url: "postgres://u:${secret}@h/d" }`,
      `storage: { url: "mysql://u:${secret}@h/d" }`,
      `storage: { url: "postgres://h/d?password=${secret}" }`,
      `storage: { password: ${secret} }`,
      `counters: { url: "redis://:${secret}@h" }`,
      `apiKey: ${secret}`,
      `tls: { key: ${secret} }`,
      `identity: { issuers: [{ name: i, issuer: "https://u:${secret}@i", audience: [a], jwksUri: "https://u:${secret}@i/k", roles: [user] }] }`,
      `models: [{ name: a, upstream: "${secret}!" }]`,
      `audit: { exporters: [{ token: ${secret} }] }`,
      `a: "${secret}`,
      `a: {${secret}: 1, ${secret}: 2}`,
    ];
    for (const text of texts) {
      const problems = problemsOf(text);
      assert.ok(problems.length > 0, text);
      assert.doesNotMatch(JSON.stringify(problems), /Zx9Kq2Lm8/, text);
    }
  });

  test('text of the file cannot forge lines or terminal sequences in a message', () => {
    const problems = problemsOf('"\\e[31m\\nERROR all is well\\u202e": 1\n');
    assert.doesNotMatch(new ConfigError(problems).message, /[\u001b\u202e]|\nERROR/);
  });

  test('references of other products are answered with ours', () => {
    const hint = (value: string): string =>
      problemsOf(`upstreams: [{ name: a, kind: vllm, url: "https://a", credential: "${value}" }]`)[0]?.hint ?? '';
    assert.match(hint('os.environ/KEY'), /env:NAME/);
    assert.match(hint('$KEY'), /env:NAME/);
    assert.match(hint('vault:secret/x'), /not supported in this version/);
    assert.match(hint('/run/secrets/key'), /file:/);
    assert.match(hint('hunter2'), /never written into this file/);
  });
});

describe('warnings', () => {
  const warned = (text: string): string[] => parse(SERVING + text).warnings.map((warning) => warning.path);
  test('what is weak is said, with the fix', () => {
    assert.deepEqual(warned('listen: { gateway: "0.0.0.0:7070" }'), ['listen.gateway']);
    assert.deepEqual(warned('listen: { gateway: "[::]:7070", control: "10.0.0.1:7071" }'), ['listen.gateway', 'listen.control']);
    assert.deepEqual(warned('listen: { gateway: "0.0.0.0:7070" }\ntls: { cert: "env:C", key: "env:K" }'), []);
    assert.deepEqual(warned('http: { trustedProxies: [0.0.0.0/0] }'), ['http.trustedProxies[0]']);
    assert.deepEqual(warned('guards: { mode: observe, onUnavailable: pass-unsafe, input: [] }'), [
      'guards.mode',
      'guards.onUnavailable',
      'guards.input',
    ]);
    assert.deepEqual(warned('storage: { url: "sqlite::memory:" }'), ['storage.url']);
  });

  test('prompts and credentials in the clear', () => {
    const paths = (url: string, more = ''): string[] =>
      parse(`upstreams: [{ name: u, kind: vllm, url: "${url}"${more} }]\nmodels: [{ name: m, upstream: u }]`).warnings.map(
        ({ path }) => path,
      );
    assert.deepEqual(paths('http://gpu.example.com'), ['upstreams[0].url']);
    assert.deepEqual(paths('http://8.8.8.8:8000'), ['upstreams[0].url']);
    assert.deepEqual(paths('http://10.0.0.8:8000'), []);
    assert.deepEqual(paths('http://vllm:8000'), []);
    assert.deepEqual(paths('http://vllm:8000', ', credential: "env:K"'), ['upstreams[0].credential']);
    assert.deepEqual(paths('http://127.0.0.1:8000', ', credential: "env:K"'), []);
    assert.deepEqual(paths('https://gpu.example.com/v1'), ['upstreams[0].url']);
  });

  test('every warning has a fix', () => {
    const { warnings } = parse('listen: { gateway: "0.0.0.0:1" }\nguards: { mode: observe }');
    assert.ok(warnings.length >= 3);
    for (const warning of warnings) assert.ok(warning.fix.length > 0 && warning.message.length > 0);
  });
});

test('the effective configuration is plain data', () => {
  const { config } = parse(SERVING);
  const copy: Config = JSON.parse(JSON.stringify(config));
  assert.deepEqual(copy, config);
});
