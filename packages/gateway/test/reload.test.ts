import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, chatReply, chatStream, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';
import type { TlsMaterial } from '../src/index.ts';
import { chatBody, GUARD, type Harness, post, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const EVENTS = chatStream(['one', 'two'], 'chat');

/** A stream that stops after its first text until `go` is called. */
async function startStream(engine: ScriptedUpstream, harness: Harness): Promise<{ connection: RawConnection; go(): void }> {
  const gate = Promise.withResolvers<void>();
  engine.once(async ({ request, response, signal }) => {
    await request.body;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(Buffer.concat(EVENTS.slice(0, 2)));
    await gate.promise;
    if (!signal.aborted) response.end(Buffer.concat(EVENTS.slice(2)));
  });
  const connection = await RawConnection.open({ port: harness.port });
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${harness.key}`],
  ];
  await connection.send(requestBytes({ target: CHAT, headers, body: chatBody({ stream: true }) }));
  await connection.waitFor('one');
  return { connection, go: gate.resolve };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));

describe('a reload', () => {
  let engine: ScriptedUpstream;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  });
  after(() => engine[Symbol.asyncDispose]());

  const timeouts = { connect: 500, firstByte: 5_000, idle: 5_000, total: 10_000 };
  const start = (secrets: Record<string, string>, change: Partial<Parameters<typeof upstream>[1]> = {}): Promise<Harness> =>
    startHarness({
      upstreams: [upstream(engine.url, { timeouts, credential: 'env:TOKEN', ...change })],
      options: {
        resolveSecret: (reference) => {
          const value = secrets[reference];
          if (value === undefined) throw new Error(`cannot read ${reference}`);
          return value;
        },
      },
    });
  const tokens = (): unknown[] => engine.requests.map(({ headers }) => headers.authorization);

  it('takes up a changed credential and leaves what did not change connected', async () => {
    const secrets = { 'env:TOKEN': 'first' };
    await using harness = await start(secrets);
    const from = engine.requests.length;
    const connections = engine.connections.length;
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    harness.gateway.reload(null);
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.equal(engine.connections.length, connections + 1);
    secrets['env:TOKEN'] = 'second';
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    harness.gateway.reload(null);
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.deepEqual(tokens().slice(from), ['Bearer first', 'Bearer first', 'Bearer first', 'Bearer second']);
  });

  it('neither fails those who wait for a slot nor lets more in than the server takes', async () => {
    const secrets = { 'env:TOKEN': 'first' };
    await using harness = await start(secrets, { maxConcurrency: 1 });
    const { connection, go } = await startStream(engine, harness);
    await using _closing = connection;
    const before = engine.requests.length;
    const waiting = post(harness, CHAT, chatBody());
    await settled();
    secrets['env:TOKEN'] = 'second';
    harness.gateway.reload(null);
    const newcomer = post(harness, CHAT, chatBody());
    await settled();
    assert.equal(engine.requests.length, before);
    go();
    assert.deepEqual([(await waiting).status, (await newcomer).status], [200, 200]);
    assert.ok((await connection.next()).body.includes('[DONE]'));
  });

  it('hands out more slots at once where there are more', async () => {
    await using harness = await start({ 'env:TOKEN': 'first' }, { maxConcurrency: 1 });
    const { connection, go } = await startStream(engine, harness);
    await using _closing = connection;
    const waiting = post(harness, CHAT, chatBody());
    await settled();
    harness.publish({ upstreams: new Map([['engine', upstream(engine.url, { timeouts, credential: 'env:TOKEN', maxConcurrency: 2 })]]) });
    assert.equal((await waiting).status, 200);
    go();
    assert.ok((await connection.next()).body.includes('[DONE]'));
  });

  it('remembers the health of a server, and forgets it for another address', async () => {
    const secrets = { 'env:TOKEN': 'first' };
    await using harness = await start(secrets);
    for (let i = 0; i < 3; i += 1) {
      engine.once(({ response }) => void response.writeHead(500).end());
      assert.equal((await post(harness, CHAT, chatBody())).status, 502);
    }
    const state = (): string | undefined => harness.gateway.health().upstreams[0]?.state;
    assert.equal(state(), 'degraded');
    secrets['env:TOKEN'] = 'second';
    harness.gateway.reload(null);
    assert.equal(state(), 'degraded');
    harness.publish({ upstreams: new Map([['engine', upstream('http://127.0.0.1:9', { credential: 'env:TOKEN' })]]) });
    assert.equal(state(), 'unknown');
  });

  it('changes nothing where a secret, a certificate or a pattern cannot be used', async () => {
    const authority = await Authority.create('Own authority');
    const server = await authority.issueServer();
    const other = await authority.issueServer();
    const secrets: Record<string, string> = { 'env:TOKEN': 'first' };
    await using harness = await start(secrets);
    const from = engine.requests.length;
    const upstreams = [upstream(engine.url, { credential: 'env:TOKEN' })];
    secrets['env:TOKEN'] = 'second';
    const prepare = (change: Partial<Parameters<Harness['gateway']['prepareReload']>[0]>): void =>
      void harness.gateway.prepareReload({ tls: null, upstreams, guard: GUARD, ...change });
    const material: TlsMaterial = { cert: server.cert, key: other.key, clientCa: null, clientAuth: 'none', minVersion: 'TLSv1.2' };
    assert.throws(() => prepare({ tls: material }));
    assert.throws(
      () => prepare({ upstreams: [...upstreams, upstream(engine.url, { name: 'x', credential: 'env:MISSING' })] }),
      /env:MISSING/,
    );
    secrets['file:ca'] = 'not a certificate';
    const tls = { ca: 'file:ca', cert: null, key: 'file:ca', serverName: null, pins: [] };
    assert.throws(() => prepare({ upstreams: [upstream('https://127.0.0.1:9', { tls })] }));
    const deny = { name: 'bad', pattern: '(unclosed', ignoreCase: false, stages: ['output'] as const, action: 'block' as const };
    assert.throws(() => prepare({ guard: { ...GUARD, deny: [deny] } }));
    prepare({});
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.deepEqual(tokens().slice(from), ['Bearer first']);
  });
});

describe('client certificates after a reload', () => {
  it('are asked for as at the start, from the authorities of the start', async () => {
    const authority = await Authority.create('Own authority');
    const server = await authority.issueServer();
    const client: IssuedCertificate = await authority.issueClient();
    const material: TlsMaterial = {
      cert: server.cert,
      key: server.key,
      clientCa: authority.cert,
      clientAuth: 'require',
      minVersion: 'TLSv1.2',
    };
    await using harness = await startHarness({ upstreams: [], tls: material });
    const renewed = await authority.issueServer();
    harness.gateway.reload({ ...material, cert: renewed.cert, key: renewed.key, clientAuth: 'none', clientCa: null });
    const ask = async (certificate?: IssuedCertificate): Promise<number> => {
      const own = certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key };
      await using connection = await RawConnection.open({
        port: harness.port,
        tls: { ca: authority.cert, servername: 'localhost', ...own },
      });
      await connection.send(requestBytes({ method: 'GET', target: '/health/live', headers: [] }));
      return (await connection.next()).status;
    };
    assert.equal(await ask(client), 200);
    await assert.rejects(ask());
    await assert.rejects(ask(await (await Authority.create('Another')).issueClient()));
  });
});
