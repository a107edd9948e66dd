import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExporterSettings } from '@sallyport/core';
import { KafkaStandIn, TOPIC } from '@sallyport/testkit/kafka';
import { Bench, SECRETS, until } from './support.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A token endpoint by RFC 6749 sections 2.3.1, 4.4 and 5. Its tokens are `t1`, `t2`, ... */
class TokenEndpoint implements AsyncDisposable {
  readonly requests: string[] = [];
  /** What it answers instead. */
  instead: Answer | null = null;
  expiresIn = 3600;
  #given = 0;
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body, headers = {} }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    });
  });

  static async start(): Promise<TokenEndpoint> {
    const endpoint = new TokenEndpoint();
    await new Promise<void>((resolve) => endpoint.#server.listen(0, '127.0.0.1', resolve));
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/oauth/token`;
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    this.requests.push(form.toString());
    if (this.instead !== null) return this.instead;
    assert.equal(request.method, 'POST');
    assert.equal(form.get('grant_type'), 'client_credentials');
    // Both are form-encoded before they are joined (RFC 6749 section 2.3.1).
    const credentials = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    if (decodeURIComponent(credentials) !== 'audit-writer:s&cret') return { status: 401, body: '{"error":"invalid_client"}' };
    this.#given++;
    return { status: 200, body: JSON.stringify({ access_token: `t${this.#given}`, token_type: 'Bearer', expires_in: this.expiresIn }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function settings(cluster: KafkaStandIn, endpoint: TokenEndpoint): Partial<ExporterSettings> {
  Object.assign(SECRETS, { 'env:OID': 'audit-writer', 'env:OSECRET': 's&cret' });
  return {
    kind: 'kafka',
    target: TOPIC,
    url: `tcp://127.0.0.1:${cluster.ports[0]}`,
    username: 'env:OID',
    password: 'env:OSECRET',
    sasl: 'oauthbearer',
    tokenUrl: endpoint.url,
    scope: 'kafka audit',
  };
}

function user(accepts: (token: string) => boolean, sessionLifetimeMs = 0n) {
  return { user: { mechanism: 'OAUTHBEARER', name: '', password: '', accepts, sessionLifetimeMs } };
}

test('a token is bought with the client id and secret, for the scope, and serves several connections', async () => {
  await using bench = await Bench.create();
  await using endpoint = await TokenEndpoint.start();
  await using cluster = await KafkaStandIn.start(user((token) => token === 't1'));
  cluster.troubles.push('lost', 'answer-lost');
  await bench.append(30);
  await using exporters = bench.exporters(settings(cluster, endpoint));
  exporters.start();
  const sent = await bench.hashes();
  await until(() => exporters.status()[0]?.delivered === sent.length, 'all delivered');
  assert.deepEqual(cluster.received, sent);
  assert.ok(cluster.connections > 1);
  assert.deepEqual(endpoint.requests, ['scope=kafka+audit&grant_type=client_credentials']);
});

test('a wrong secret is said, and nothing is sent until it is right', async () => {
  await using bench = await Bench.create();
  await using endpoint = await TokenEndpoint.start();
  await using cluster = await KafkaStandIn.start(user(() => true));
  await bench.append(3);
  const wanted = settings(cluster, endpoint);
  SECRETS['env:OSECRET'] = 'wrong';
  await using exporters = bench.exporters(wanted);
  exporters.start();
  await until(() => exporters.status()[0]?.failure?.reason === 'OAuth invalid_client', 'the secret is refused');
  assert.equal(cluster.requests, 0);
  SECRETS['env:OSECRET'] = 's&cret';
  await until(() => cluster.received.length === 4, 'all delivered');
});

test('the secret goes to no endpoint in the clear, whatever the configuration let through', async () => {
  await using bench = await Bench.create();
  await using endpoint = await TokenEndpoint.start();
  await using cluster = await KafkaStandIn.start(user(() => true));
  await bench.append(1);
  await using exporters = bench.exporters({ ...settings(cluster, endpoint), tokenUrl: 'http://192.0.2.1/oauth/token' });
  exporters.start();
  await until(() => exporters.status()[0]?.failure?.reason === 'OAuth: the token endpoint must be https, or on this machine', 'refused');
  assert.equal(cluster.requests, 0);
});

test('a token that the broker does not accept is not shown again', async () => {
  await using bench = await Bench.create();
  await using endpoint = await TokenEndpoint.start();
  const shown: string[] = [];
  await using cluster = await KafkaStandIn.start(
    user((token) => {
      shown.push(token);
      return token !== 't1';
    }),
  );
  await bench.append(3);
  await using exporters = bench.exporters(settings(cluster, endpoint));
  exporters.start();
  await until(() => cluster.received.length === 4, 'all delivered with the next token');
  assert.deepEqual(shown, ['t1', 't2']);
});

test('a session ends with what it was authenticated with: another is opened before the broker breaks it off', async () => {
  await using bench = await Bench.create();
  await using endpoint = await TokenEndpoint.start();
  await using cluster = await KafkaStandIn.start(user(() => true, 1000n));
  await using exporters = bench.exporters(settings(cluster, endpoint));
  exporters.start();
  for (let round = 1; round <= 3; round++) {
    await bench.append(2);
    await until(() => cluster.received.length === 1 + 2 * round, `round ${round}`);
    await delay(900);
  }
  assert.deepEqual(cluster.received, await bench.hashes());
  assert.ok(cluster.connections >= 3);
  // Broken off would be tried again; this is in time.
  assert.ok(cluster.records.every(({ headers }) => headers['sallyport.attempt'] === '1'));
});

const BROKEN: readonly (readonly [string, Answer])[] = [
  ['no JSON', { status: 200, body: '<html>' }],
  ['no token', { status: 200, body: '{"token_type":"Bearer"}' }],
  ['a token that would end the message it is in', { status: 200, body: '{"access_token":"t\\u0001host=x\\u0001","token_type":"Bearer"}' }],
  ['a token of another kind', { status: 200, body: '{"access_token":"t1","token_type":"mac"}' }],
  ['an error with text of its own', { status: 400, body: '{"error":"text \\u001b[31m of the endpoint"}' }],
  ['a failure', { status: 503, body: '' }],
  ['another address', { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/token' } }],
];
for (const [name, answer] of BROKEN) {
  test(`an endpoint that answers with ${name}: nothing is sent, and its text is not repeated`, async () => {
    await using bench = await Bench.create();
    await using endpoint = await TokenEndpoint.start();
    await using cluster = await KafkaStandIn.start(user(() => true));
    endpoint.instead = answer;
    await bench.append(1);
    await using exporters = bench.exporters(settings(cluster, endpoint));
    exporters.start();
    const failure = (): string => exporters.status()[0]?.failure?.reason ?? '';
    await until(() => failure() !== '', 'an attempt fails');
    assert.match(failure(), /^OAuth: the token (endpoint gives no token|is not one of RFC 6750)$/);
    assert.equal(cluster.requests, 0);
    endpoint.instead = null;
    await until(() => cluster.received.length === 2, 'all delivered once it answers');
  });
}
