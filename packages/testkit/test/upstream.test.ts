import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import {
  answerJson,
  answerTwice,
  closeEarly,
  cutAt,
  cutEvery,
  drip,
  GARBAGE_200,
  hangAfterHeaders,
  hangBeforeHeaders,
  hangMidBody,
  hangWithoutReading,
  hugeEvent,
  interimFlood,
  MALFORMED_REPLIES,
  overloaded,
  raw,
  redirect,
  reset,
  stream,
  truncate,
  WRONG_TYPE_200,
} from '../src/behaviour.ts';
import { Authority } from '../src/certificates.ts';
import { startDeafUpstream } from '../src/deaf.ts';
import { RawConnection, type RawTarget, rawExchange, requestBytes } from '../src/rawclient.ts';
import { MalformedResponse } from '../src/rawresponse.ts';
import { chatStream } from '../src/replies.ts';
import { temporaryDirectory } from '../src/tempdir.ts';
import { type Behaviour, ScriptedUpstream } from '../src/upstream.ts';

const POST = requestBytes({ target: '/v1/x?y=1', headers: [['X-Odd-Case', 'kept']], body: '{"a":1}' });

async function scripted(behaviour: Behaviour): Promise<ScriptedUpstream> {
  return ScriptedUpstream.start({ behaviour });
}

describe('scripted upstream', () => {
  it('records what it was sent, headers and bytes as they were', async () => {
    await using upstream = await scripted(answerJson({ ok: true }));
    const response = await rawExchange({ port: upstream.port }, POST);
    assert.equal(response.status, 200);
    assert.equal(response.body.toString(), '{"ok":true}');
    const request = await upstream.next();
    assert.equal(request.method, 'POST');
    assert.equal(request.target, '/v1/x?y=1');
    assert.deepEqual(request.rawHeaders, ['host', 'localhost', 'X-Odd-Case', 'kept', 'content-length', '7']);
    assert.equal((await request.body).toString(), '{"a":1}');
    assert.deepEqual(request.connection.received, POST);
    assert.equal(request.leftAt, null);
  });

  it('uses queued behaviours first, in order', async () => {
    await using upstream = await scripted(answerJson('always'));
    upstream.once(overloaded(429, '7'), redirect('http://127.0.0.1:1/'));
    const target: RawTarget = { port: upstream.port };
    const first = await rawExchange(target, POST);
    assert.deepEqual([first.status, first.header('retry-after')], [429, '7']);
    const second = await rawExchange(target, POST);
    assert.deepEqual([second.status, second.header('location')], [307, 'http://127.0.0.1:1/']);
    assert.equal((await rawExchange(target, POST)).body.toString(), '"always"');
  });

  it('streams chunk by chunk with any cut', async () => {
    const bytes = Buffer.concat(chatStream(['héllo', ' 🙂']));
    for (const chunks of [cutEvery(bytes, 1), cutAt(bytes, [10, 11, 200]), [bytes]]) {
      await using upstream = await scripted(stream(chunks));
      const response = await rawExchange({ port: upstream.port }, POST);
      assert.deepEqual(response.body, bytes);
      assert.equal(response.chunks.length, chunks.length);
    }
  });

  it('tells when the client left, before and after the head', async () => {
    for (const behaviour of [hangBeforeHeaders(), hangAfterHeaders(), hangMidBody('{"a":'), stream(['data: 1\n\n'], { ending: 'hang' })]) {
      await using upstream = await scripted(behaviour);
      const connection = await RawConnection.open({ port: upstream.port });
      await connection.send(POST);
      const request = await upstream.next();
      await request.body;
      assert.equal(request.leftAt, null);
      await connection[Symbol.asyncDispose]();
      assert.ok((await request.left) >= request.arrivedAt);
      assert.equal(upstream.openConnections, 0);
    }
  });

  it('stops reading so that a large body backs up', async () => {
    await using upstream = await scripted(hangWithoutReading());
    await using connection = await RawConnection.open({ port: upstream.port });
    const size = 64 * 1024 * 1024;
    const sending = connection.send(Buffer.concat([requestBytes({ target: '/', body: Buffer.alloc(size) })]));
    const request = await upstream.next();
    assert.equal(await Promise.race([sending.then(() => 'sent'), new Promise((resolve) => setTimeout(resolve, 200, 'stuck'))]), 'stuck');
    assert.ok(request.bodySoFar.length < size);
  });

  it('breaks off in every way', async () => {
    const rows: [Behaviour, RegExp][] = [
      [reset(), /closed without a response/],
      [closeEarly(), /closed without a response/],
      [truncate('{"a":1}'), /shorter than its content-length/],
      [stream(['data: 1\n\n'], { ending: 'cut' }), /inside a chunked body/],
      [stream(['data: 1\n\n'], { ending: 'reset' }), /inside a chunked body/],
    ];
    for (const [behaviour, expected] of rows) {
      await using upstream = await scripted(behaviour);
      await assert.rejects(rawExchange({ port: upstream.port }, POST), expected);
    }
  });

  it('answers garbage of the right and of the wrong type', async () => {
    await using upstream = await scripted(GARBAGE_200);
    upstream.once(WRONG_TYPE_200);
    assert.equal((await rawExchange({ port: upstream.port }, POST)).header('content-type'), 'text/html');
    const garbage = await rawExchange({ port: upstream.port }, POST);
    assert.equal(garbage.header('content-type'), 'application/json');
    assert.throws(() => JSON.parse(garbage.body.toString()), SyntaxError);
  });

  it('drips, floods with interim responses, and says more than it was asked', async () => {
    await using upstream = await scripted(drip(Buffer.from('{"slow":true}'), 5, 1));
    upstream.once(interimFlood(3, '{}'), answerTwice('{"mine":1}', '{"poison":1}'));
    await using connection = await RawConnection.open({ port: upstream.port });
    await connection.send(POST);
    const statuses = [await connection.next(), await connection.next(), await connection.next(), await connection.next()].map(
      (r) => r.status,
    );
    assert.deepEqual(statuses, [103, 103, 103, 200]);
    await using second = await RawConnection.open({ port: upstream.port });
    await second.send(POST);
    assert.equal((await second.next()).body.toString(), '{"mine":1}');
    assert.equal((await second.next()).body.toString(), '{"poison":1}');
    assert.equal((await rawExchange({ port: upstream.port }, POST)).body.toString(), '{"slow":true}');
  });

  it('sends an event larger than any buffer', async () => {
    await using upstream = await scripted(hugeEvent(2_000_000));
    const { body } = await rawExchange({ port: upstream.port }, POST);
    assert.equal(body.indexOf('\n'), body.length - 2);
    assert.ok(body.length > 2_000_000);
  });

  it('malformed replies are refused by a strict reader', async () => {
    // These are well formed as bytes; what is wrong with them is a limit or an ambiguity a reader must decide on.
    const readable = ['one header of 1 MB', '20,000 headers'];
    for (const { name, bytes } of MALFORMED_REPLIES) {
      await using upstream = await scripted(raw(bytes));
      const read = rawExchange({ port: upstream.port }, POST);
      if (readable.includes(name)) assert.equal((await read).status, 200, name);
      else await assert.rejects(read, MalformedResponse, name);
    }
  });

  it('reports a failing script when it closes', async () => {
    const upstream = await scripted(() => {
      throw new Error('script');
    });
    await assert.rejects(rawExchange({ port: upstream.port }, POST));
    await assert.rejects(upstream.close(), AggregateError);
  });

  it('listens on a Unix socket', async () => {
    await using directory = await temporaryDirectory();
    const socketPath = directory.file('upstream.sock');
    await using upstream = await ScriptedUpstream.start({ socketPath, behaviour: answerJson(1) });
    assert.equal((await rawExchange({ port: 0, socketPath }, POST)).status, 200);
    assert.equal(upstream.requests.length, 1);
  });

  it('speaks TLS, demands client certificates, and changes its own', async () => {
    const authority = await Authority.create();
    const stranger = await Authority.create('Stranger');
    const first = await authority.issueServer();
    const expired = await authority.issueServer({ notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 3_600_000 });
    const client = await authority.issueClient({ uris: ['spiffe://example.org/gateway'] });
    const open = async (upstream: ScriptedUpstream, tls: ConnectionOptions): Promise<string> => {
      await using connection = await RawConnection.open({ port: upstream.port, tls: { servername: 'localhost', ...tls } });
      await connection.send(POST);
      await connection.next();
      return upstream.requests.at(-1)?.connection.clientFingerprint ?? 'none';
    };
    await using upstream = await ScriptedUpstream.start({ tls: { certificate: first }, behaviour: answerJson(1) });
    assert.equal(await open(upstream, { ca: authority.cert }), 'none');
    assert.equal(upstream.requests.at(-1)?.connection.serverName, 'localhost');
    await assert.rejects(open(upstream, { ca: stranger.cert }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    upstream.useCertificate(expired);
    await assert.rejects(open(upstream, { ca: authority.cert }), { code: 'CERT_HAS_EXPIRED' });
    upstream.useCertificate(await authority.issueServer());
    assert.equal(await open(upstream, { ca: authority.cert }), 'none');
    const tls = { certificate: first, clientAuthority: authority.cert };
    await using demanding = await ScriptedUpstream.start({ tls, behaviour: answerJson(1) });
    await assert.rejects(open(demanding, { ca: authority.cert }));
    assert.equal(await open(demanding, { ca: authority.cert, cert: client.cert, key: client.key }), client.fingerprint);
  });

  it('a deaf upstream lets nobody connect', async () => {
    await using deaf = await startDeafUpstream();
    const opened = RawConnection.open({ port: deaf.port }).then(
      () => 'connected',
      () => 'refused',
    );
    assert.equal(await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 300, 'pending'))]), 'pending');
  });
});
