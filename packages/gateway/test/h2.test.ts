import assert from 'node:assert/strict';
import { type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import {
  answerJson,
  chatReply,
  chatStream,
  eventually,
  H2Connection,
  hangBeforeHeaders,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const LIMIT = 100_000;

describe('HTTP/2', () => {
  let authority: Authority;
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    authority = await Authority.create();
    const server = await authority.issueServer();
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts: { connect: 500, firstByte: 5_000, idle: 5_000, total: 10_000 } })],
      tls: { cert: server.cert, key: server.key, clientCa: null, clientAuth: 'none', minVersion: 'TLSv1.2' },
      snapshot: { http: { ...HTTP, bodyTimeout: 500, maxBodyBytes: LIMIT } },
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const open = (): Promise<H2Connection> => H2Connection.open(harness.url, { ca: authority.cert, servername: 'localhost' });
  const headers = (change: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({
    ':method': 'POST',
    ':path': CHAT,
    'content-type': 'application/json',
    authorization: `Bearer ${harness.key}`,
    ...change,
  });
  const codeOf = (body: Buffer): string => JSON.parse(body.toString()).error.code;
  /** Reads a stream's answer without sending the end of its body. */
  const answerTo = async (sending: ClientHttp2Stream): Promise<{ status: number; body: Buffer; resetCode: number }> => {
    let status = 0;
    const chunks: Buffer[] = [];
    sending.on('response', (received) => {
      status = received[':status'] ?? 0;
    });
    sending.on('data', (chunk: Buffer) => chunks.push(chunk));
    sending.on('error', () => undefined); // the code tells
    // With writes of its own pending, Node tells of a reset without an error only by `aborted`.
    await new Promise<void>((resolve) => sending.once('close', () => resolve()).once('aborted', () => resolve()));
    return { status, body: Buffer.concat(chunks), resetCode: sending.rstCode ?? -1 };
  };

  it('runs many streams beside one another', async () => {
    await using connection = await open();
    engine.behaviour = stream(chatStream(['one', 'two'], 'chat'), { delayMs: 2 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => connection.request(headers(), chatBody({ stream: true }))));
    engine.behaviour = answerJson(chatReply('Hi', 'chat'));
    for (const { status, body, resetCode } of answers) {
      assert.deepEqual([status, resetCode], [200, 0]);
      assert.equal(body.toString(), Buffer.concat(chatStream(['one', 'two'], 'chat')).toString());
    }
  });

  it('refuses what two readers could read differently', async () => {
    await using connection = await open();
    const before = engine.requests.length;
    const cases: [OutgoingHttpHeaders, number][] = [
      [{ authorization: undefined, 'x-api-key': [harness.key, harness.key] }, 400],
      [{ 'x-api-key': harness.addKey({}) }, 400],
      [{ 'content-encoding': 'gzip' }, 415],
      [{ expect: 'x' }, 417],
      [{ authorization: 'Bearer sp_live_nonsense' }, 401],
      [{ ':path': '/nowhere' }, 404],
      [{ ':method': 'PUT' }, 405],
      [{ 'content-type': 'text/plain' }, 415],
    ];
    for (const [change, status] of cases) {
      const answered = await connection.request(headers(change), chatBody());
      assert.equal(answered.status, status, JSON.stringify(change));
      assert.equal(typeof codeOf(answered.body), 'string');
      assert.equal(answered.headers['x-frame-options'], 'DENY');
    }
    assert.equal(engine.requests.length, before);
  });

  it('refuses a body over the limit and ends its stream, not the connection', async () => {
    await using connection = await open();
    const declared = connection.session.request(headers({ 'content-length': 100 * 1024 * 1024 }));
    const refused = await answerTo(declared);
    assert.deepEqual([refused.status, codeOf(refused.body), refused.resetCode], [413, 'request_too_large', constants.NGHTTP2_NO_ERROR]);
    const undeclared = connection.session.request(headers());
    const answering = answerTo(undeclared);
    undeclared.write(Buffer.alloc(LIMIT * 3, ' '));
    const cut = await answering;
    assert.deepEqual([cut.status, codeOf(cut.body), cut.resetCode], [413, 'request_too_large', constants.NGHTTP2_NO_ERROR]);
    assert.equal((await connection.request(headers(), chatBody())).status, 200);
  });

  it('gives up on a slow body and ends its stream, not the connection', async () => {
    await using connection = await open();
    const slow = connection.session.request(headers());
    slow.write('{"model":');
    const refused = await answerTo(slow);
    assert.deepEqual([refused.status, codeOf(refused.body)], [408, 'request_timeout']);
    assert.equal((await connection.request(headers(), chatBody())).status, 200);
  });

  it('refuses who is over a limit on requests by the head alone, and goes on with the other streams', async () => {
    const key = harness.addKey({});
    const limit = { name: 'h2', per: 'key' as const, quantity: 'requests' as const, amount: 1, window: 60_000, models: null };
    harness.publish({ limits: [limit] });
    await using connection = await open();
    const authorization = `Bearer ${key}`;
    for (const status of [200, 429]) assert.equal((await connection.request(headers({ authorization }), chatBody())).status, status);
    const count = engine.requests.length;
    // Its body never comes, or comes without an end.
    for (const begun of [null, 'x'.repeat(30_000)]) {
      const sending = connection.session.request(headers({ authorization, 'content-length': '90000' }));
      if (begun !== null) sending.write(begun);
      const { status, body } = await answerTo(sending);
      assert.deepEqual([status, codeOf(body)], [429, 'rate_limit_exceeded']);
    }
    const refused = await connection.request(headers({ authorization }), chatBody());
    assert.deepEqual([refused.status, refused.headers['x-ratelimit-remaining-requests']], [429, '0']);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.equal(engine.requests.length, count);
    // Of the same connection, another key's.
    const other = { authorization: `Bearer ${harness.addKey({})}` };
    harness.publish({});
    assert.equal((await connection.request(headers(other), chatBody())).status, 200);
    harness.publish({ limits: [] });
  });

  it('asks for the body only once the caller is known', async () => {
    await using connection = await open();
    const send = async (change: OutgoingHttpHeaders): Promise<[number, boolean]> => {
      const sending = connection.session.request(headers({ expect: '100-continue', ...change }));
      let continued = false;
      sending.on('continue', () => {
        continued = true;
        sending.end(chatBody());
      });
      return [(await answerTo(sending)).status, continued];
    };
    assert.deepEqual(await send({}), [200, true]);
    assert.deepEqual(await send({ authorization: 'Bearer sp_live_nonsense' }), [401, false]);
  });

  it('ends the upstream call of a stream the client resets, and no other', async () => {
    await using connection = await open();
    const entries = harness.entries.length;
    engine.once(hangBeforeHeaders());
    const gone = connection.session.request(headers());
    const answering = answerTo(gone);
    const count = engine.requests.length;
    gone.end(chatBody({ stream: true }));
    await eventually('it reaches the engine', () => engine.requests.length > count);
    gone.close(constants.NGHTTP2_CANCEL);
    await answering;
    await engine.requests.at(-1)?.left;
    await eventually('it is recorded', () => harness.entries.length > entries);
    assert.equal(harness.entries.at(-1)?.outcome, 'abandoned');
    assert.equal((await connection.request(headers(), chatBody())).status, 200);
  });

  it('resets a stream that broke off, so that it cannot be taken for whole', async () => {
    await using connection = await open();
    harness.ledger.broken = false;
    engine.once(stream(chatStream(['one', 'two'], 'chat'), { delayMs: 30 }));
    const sending = connection.session.request(headers());
    sending.once('data', () => {
      harness.ledger.broken = true;
    });
    const answering = answerTo(sending);
    sending.end(chatBody({ stream: true }));
    const cut = await answering;
    harness.ledger.broken = false;
    assert.equal(cut.status, 200);
    assert.ok(!cut.body.includes('[DONE]'));
    assert.notEqual(cut.resetCode, constants.NGHTTP2_NO_ERROR);
  });

  it('has no tunnel, and survives heads beyond its limits and streams reset as fast as they come', async () => {
    await using tunnel = await open();
    const connecting = tunnel.session.request({ ':method': 'CONNECT', ':authority': 'internal.example:443' });
    assert.ok([400, 404, 405].includes((await answerTo(connecting)).status));
    await using large = await open();
    // The limit counts once the client has confirmed it; until then nghttp2's own of 64 kB does.
    assert.equal((await large.request(headers(), chatBody())).status, 200);
    const refused = await answerTo(large.session.request(headers({ 'x-a': 'a'.repeat(40_000) })));
    assert.deepEqual([refused.status, refused.resetCode], [0, constants.NGHTTP2_ENHANCE_YOUR_CALM]);
    await using rapid = await open();
    rapid.session.on('error', () => undefined);
    for (let i = 0; i < 500 && !rapid.session.closed; i += 1) {
      const one = rapid.session.request(headers());
      one.on('error', () => undefined);
      one.close(constants.NGHTTP2_CANCEL);
    }
    await using next = await open();
    assert.equal((await next.request(headers(), chatBody())).status, 200);
    assert.deepEqual(
      harness.log.filter(({ event }) => event.startsWith('exchange.')),
      [],
    );
  });

  it('answers HEAD without content, and a preflight', async () => {
    await using connection = await open();
    const head = await connection.request(headers({ ':method': 'HEAD', ':path': '/v1/models', 'content-type': undefined }));
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    const preflight = await connection.request({
      ':method': 'OPTIONS',
      ':path': CHAT,
      origin: 'https://evil.example',
      'access-control-request-method': 'POST',
    });
    assert.deepEqual([preflight.status, preflight.headers['access-control-allow-origin']], [403, undefined]);
  });
});
