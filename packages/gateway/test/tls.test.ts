import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import type { CertificateIdentity, HttpSettings } from '@sallyport/core';
import {
  answerJson,
  chatReply,
  chatStream,
  eventually,
  H2Connection,
  RawConnection,
  type RawResponse,
  requestBytes,
  ScriptedUpstream,
} from '@sallyport/testkit';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';
import type { TlsMaterial } from '../src/index.ts';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';

describe('TLS', () => {
  let authority: Authority;
  let server: IssuedCertificate;
  let engine: ScriptedUpstream;
  before(async () => {
    authority = await Authority.create('Own authority');
    server = await authority.issueServer();
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  });
  after(() => engine[Symbol.asyncDispose]());

  const material = (change: Partial<TlsMaterial> = {}): TlsMaterial => ({
    cert: server.cert,
    key: server.key,
    clientCa: null,
    clientAuth: 'none',
    minVersion: 'TLSv1.2',
    ...change,
  });
  const start = (tls: TlsMaterial, identities: readonly CertificateIdentity[] = [], http: Partial<HttpSettings> = {}): Promise<Harness> =>
    startHarness({
      upstreams: [upstream(engine.url)],
      tls,
      snapshot: { certificateIdentities: identities, http: { ...HTTP, headersTimeout: 700, keepAliveTimeout: 700, ...http } },
    });
  const open = (harness: Harness, client?: IssuedCertificate): Promise<RawConnection> =>
    RawConnection.open({
      port: harness.port,
      tls: { ca: authority.cert, servername: 'localhost', ...(client === undefined ? {} : { cert: client.cert, key: client.key }) },
    });
  const chat = async (harness: Harness, key: string | null, client?: IssuedCertificate): Promise<RawResponse> => {
    await using connection = await open(harness, client);
    const credential: [string, string][] = key === null ? [] : [['authorization', `Bearer ${key}`]];
    await connection.send(requestBytes({ target: CHAT, headers: [['content-type', 'application/json'], ...credential], body: chatBody() }));
    return await connection.next();
  };

  /** The engine's next answer is a stream that stops after its first text until the returned function is called. */
  const hold = (): (() => void) => {
    const events = chatStream(['one', 'two'], 'chat');
    const gate = Promise.withResolvers<void>();
    engine.once(async ({ request, response }) => {
      await request.body;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(Buffer.concat(events.slice(0, 2)));
      await gate.promise;
      response.end(Buffer.concat(events.slice(2)));
    });
    return gate.resolve;
  };
  const streamRequest = (harness: Harness): Buffer => {
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${harness.key}`],
    ];
    return requestBytes({ target: CHAT, headers, body: chatBody({ stream: true }) });
  };

  it('serves HTTP/1.1 and HTTP/2 on one port, with HSTS there only', async () => {
    await using harness = await start(material());
    const one = await chat(harness, harness.key);
    assert.deepEqual([one.status, one.header('strict-transport-security')], [200, 'max-age=63072000; includeSubDomains']);
    await using h2 = await H2Connection.open(harness.url, { ca: authority.cert, servername: 'localhost' });
    const headers = { ':method': 'POST', ':path': CHAT, 'content-type': 'application/json', authorization: `Bearer ${harness.key}` };
    const two = await h2.request(headers, chatBody());
    assert.deepEqual([two.status, two.headers['strict-transport-security']], [200, 'max-age=63072000; includeSubDomains']);
    assert.equal(two.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(JSON.parse(two.body.toString()), JSON.parse(one.body.toString()));
    assert.equal(harness.entries.at(-1)?.source?.tls, 'TLSv1.3');
  });

  it('refuses old protocol versions and suites without forward secrecy or authentication of the data', async () => {
    await using harness = await start(material());
    const attempt = (min: SecureVersion, max: SecureVersion, ciphers: string): Promise<string> => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const socket: TLSSocket = connectTls(
        { port: harness.port, host: '127.0.0.1', ca: authority.cert, servername: 'localhost', minVersion: min, maxVersion: max, ciphers },
        () => resolve(socket.getProtocol() ?? ''),
      );
      socket.on('error', () => resolve('refused'));
      return promise.finally(() => socket.destroy());
    };
    assert.equal(await attempt('TLSv1', 'TLSv1', 'DEFAULT@SECLEVEL=0'), 'refused');
    assert.equal(await attempt('TLSv1.1', 'TLSv1.1', 'DEFAULT@SECLEVEL=0'), 'refused');
    assert.equal(await attempt('TLSv1.2', 'TLSv1.2', 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA'), 'refused');
    assert.equal(await attempt('TLSv1.2', 'TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'), 'TLSv1.2');
    assert.equal(await attempt('TLSv1.2', 'TLSv1.3', 'DEFAULT'), 'TLSv1.3');
    await using strict = await start(material({ minVersion: 'TLSv1.3' }));
    const { port } = strict;
    await assert.rejects(RawConnection.open({ port, tls: { ca: authority.cert, servername: 'localhost', maxVersion: 'TLSv1.2' } }));
  });

  it('takes a client certificate as an identity, by SPIFFE ID and by fingerprint', async () => {
    const spiffe = await authority.issueClient({ uris: ['spiffe://acme.example/apps/billing'] });
    const pinned = await authority.issueClient();
    const unknown = await authority.issueClient({ uris: ['spiffe://other.example/apps/billing'] });
    const stranger = await (await Authority.create('Another')).issueClient({ uris: ['spiffe://acme.example/apps/billing'] });
    const identity = { tenant: 'acme', roles: ['user'], models: null };
    const identities = [
      { ...identity, name: 'apps', spiffeId: 'spiffe://acme.example/apps/*', fingerprint: null, principal: 'app:billing' },
      { ...identity, name: 'pinned', spiffeId: null, fingerprint: pinned.fingerprint, principal: 'app:pinned' },
    ];
    for (const clientAuth of ['request', 'require'] as const) {
      await using harness = await start(material({ clientCa: authority.cert, clientAuth }), identities);
      assert.equal((await chat(harness, null, spiffe)).status, 200);
      assert.deepEqual(harness.entries.at(-1)?.principal?.id, 'app:billing');
      assert.equal((await chat(harness, null, pinned)).status, 200);
      assert.deepEqual(harness.entries.at(-1)?.principal?.id, 'app:pinned');
      await using h2 = await H2Connection.open(harness.url, {
        ca: authority.cert,
        servername: 'localhost',
        cert: spiffe.cert,
        key: spiffe.key,
      });
      const two = await h2.request({ ':method': 'POST', ':path': CHAT, 'content-type': 'application/json' }, chatBody());
      assert.equal(two.status, 200);
      assert.equal((await chat(harness, null, unknown)).status, 401, 'verified, but nobody');
      if (clientAuth === 'request') {
        assert.equal((await chat(harness, harness.key)).status, 200, 'a key does as well');
        assert.equal((await chat(harness, null)).status, 401);
        assert.equal((await chat(harness, null, stranger)).status, 401, 'of another authority');
      } else {
        await assert.rejects(chat(harness, harness.key), 'no certificate');
        await assert.rejects(chat(harness, null, stranger), 'of another authority');
      }
    }
  });

  it('shows a new certificate to new connections and lets a stream go on', async () => {
    await using harness = await start(material());
    const go = hold();
    await using running = await open(harness);
    await running.send(streamRequest(harness));
    await running.waitFor('one');
    const renewed = await authority.issueServer();
    harness.gateway.reload(material({ cert: renewed.cert, key: renewed.key }));
    await using later = await open(harness);
    assert.equal(fingerprint(later), renewed.fingerprint);
    assert.equal(fingerprint(running), server.fingerprint);
    go();
    assert.ok((await running.next()).body.includes('[DONE]'));
  });

  it('lets streams of both protocols finish at a drain, and then waits for nobody', async () => {
    await using harness = await start(material(), [], { drainTimeout: 60_000, keepAliveTimeout: 60_000 });
    await using silent = await RawConnection.open({ port: harness.port });
    await using idle = await open(harness);
    const [go1, go2] = [hold(), hold()];
    await using one = await open(harness);
    await one.send(streamRequest(harness));
    await one.waitFor('one');
    await using two = await H2Connection.open(harness.url, { ca: authority.cert, servername: 'localhost' });
    const headers = { ':method': 'POST', ':path': CHAT, 'content-type': 'application/json', authorization: `Bearer ${harness.key}` };
    const count = engine.requests.length;
    const answering = two.request(headers, chatBody({ stream: true }));
    await eventually('the second stream runs', () => engine.requests.length > count);
    const draining = harness.gateway.drain();
    await assert.rejects(open(harness));
    go1();
    go2();
    assert.ok((await one.next()).body.includes('[DONE]'));
    assert.ok((await answering).body.includes('[DONE]'));
    await draining;
    await Promise.all([silent.waitForClose(), idle.waitForClose(), one.waitForClose()]);
  });

  it('does not wait for ever on connections that say nothing', async () => {
    await using harness = await start(material());
    await using silent = await RawConnection.open({ port: harness.port });
    await using handshaken = await open(harness);
    await using half = await open(harness);
    await half.send('POST / HTTP/1.1\r\nhost: x\r\n');
    await using h2 = await H2Connection.open(harness.url, { ca: authority.cert, servername: 'localhost' });
    await Promise.all([silent.waitForClose(), handshaken.waitForClose(), half.waitForClose()]);
    await eventually('the idle HTTP/2 connection is closed', () => h2.session.closed || h2.session.destroyed);
  });

  it('holds HTTP/1.1 over TLS to the same rules as without', async () => {
    await using harness = await start(material());
    const cases: [string, number][] = [
      [`GET /v1/models HTTP/1.1\r\nauthorization: Bearer ${harness.key}\r\n\r\n`, 400],
      [`GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(30_000)}\r\n\r\n`, 431],
      ['POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: x\r\n\r\n', 417],
      ['CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n', 405],
      ['GET / HTTP/1.1\r\nhost : x\r\n\r\n', 400],
    ];
    for (const [bytes, status] of cases) {
      await using connection = await open(harness);
      await connection.send(bytes);
      const answer = await connection.next('GET');
      assert.deepEqual([answer.status, answer.header('x-content-type-options')], [status, 'nosniff'], bytes.slice(0, 60));
    }
  });
});

function fingerprint(connection: RawConnection): string {
  const socket = connection.socket as TLSSocket;
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
}
