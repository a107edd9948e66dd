import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import {
  answerJson,
  chatReply,
  chatStream,
  type HarmlessRequest,
  hangBeforeHeaders,
  hostileRequests,
  pipelined,
  RawConnection,
  type RawResponse,
  rawExchange,
  requestBytes,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { chatBody, type Harness, HTTP, post, startHarness, upstream } from './harness.ts';

const PATH = '/v1/chat/completions';
const SMUGGLED = '/v1/smuggled';
const HTTP_LIMIT = 100_000;

describe('hostile HTTP', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({
      upstreams: [upstream(engine.url)],
      snapshot: { http: { ...HTTP, headersTimeout: 1_000, bodyTimeout: 500, maxBodyBytes: HTTP_LIMIT } },
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const harmless = (): HarmlessRequest => ({
    path: PATH,
    host: 'localhost',
    headers: [['authorization', `Bearer ${harness.key}`]],
    body: chatBody(),
    smuggledPath: SMUGGLED,
  });
  const withHeaders = (headers: readonly (readonly [string, string])[], body = chatBody()): Promise<RawResponse> =>
    rawExchange(
      { port: harness.port },
      requestBytes({
        target: PATH,
        headers: [['content-type', 'application/json'], ['authorization', `Bearer ${harness.key}`], ...headers],
        body,
      }),
    );
  const codeOf = (response: RawResponse): string => JSON.parse(response.body.toString()).error.code;
  const assertStillServing = async (): Promise<void> => {
    const answer = await post(harness, PATH, chatBody());
    assert.equal(answer.status, 200);
    await answer.text();
  };

  it('refuses every malformed or ambiguous request, and never takes part of a body for a second one', async () => {
    for (const { name, expect, bytes } of hostileRequests(harmless())) {
      const before = engine.requests.length;
      await using connection = await RawConnection.open({ port: harness.port });
      await connection.send(bytes);
      const answer = await connection.next('POST', 5_000);
      if (expect === 'refuse') assert.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`);
      else assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 500), `${name}: ${answer.status}`);
      // Whatever the server still holds of this connection, it must not answer a second time.
      connection.finish();
      await connection.waitForClose(5_000);
      assert.equal(connection.unread.length, 0, `${name}: more than one answer`);
      assert.equal(answer.header('x-content-type-options'), 'nosniff', name);
      assert.equal(answer.header('server'), null, name);
      if (answer.status !== 200) assert.equal(typeof codeOf(answer), 'string', name);
      assert.equal(engine.requests.length - before, answer.status === 200 ? 1 : 0, `${name}: requests at the upstream`);
      await assertStillServing();
    }
    assert.deepEqual([...new Set(engine.requests.map((request) => request.target))], [PATH]);
  });

  it('does not keep a connection on which a health check came whose end two readers may not agree on', async () => {
    for (const [coding, kept] of [
      ['gzip, chunked', false],
      [null, true],
    ] as const) {
      await using connection = await RawConnection.open({ port: harness.port });
      const header = coding === null ? '' : `transfer-encoding: ${coding}\r\n`;
      await connection.send(Buffer.from(`GET /health/live HTTP/1.1\r\nhost: a\r\n${header}\r\n${coding === null ? '' : '0\r\n\r\n'}`));
      const answer = await connection.next('GET', 5_000);
      assert.equal(answer.status, 200);
      assert.equal(answer.header('connection') !== 'close', kept, String(coding));
    }
  });

  it('says which limit a head is over', async () => {
    const many = Array.from({ length: 120 }, (_, index) => [`x-${index}`, '1'] as const);
    assert.deepEqual([(await withHeaders(many)).status, (await withHeaders(many)).header('connection')], [431, 'close']);
    const large = await withHeaders([['x-large', 'a'.repeat(20_000)]]);
    assert.deepEqual([large.status, codeOf(large)], [431, 'headers_too_large']);
  });

  it('refuses repeated and conflicting credentials and other headers two readers could read differently', async () => {
    const before = engine.requests.length;
    const key: [string, string] = ['authorization', `Bearer ${harness.key}`];
    const cases: [name: string, headers: readonly (readonly [string, string])[], status: number][] = [
      ['two authorizations', [key], 400],
      ['x-api-key beside authorization', [['x-api-key', harness.addKey({})]], 400],
      ['two content types', [['content-type', 'text/plain']], 400],
      [
        'two origins',
        [
          ['origin', 'https://a.example'],
          ['origin', 'https://b.example'],
        ],
        400,
      ],
      ['credential named in connection', [['connection', 'Authorization']], 400],
      ['gzip', [['content-encoding', 'gzip']], 415],
      ['other expectation', [['expect', 'x-magic']], 417],
    ];
    for (const [name, headers, status] of cases) assert.equal((await withHeaders(headers)).status, status, name);
    const doubled = await rawExchange(
      { port: harness.port },
      requestBytes({
        target: PATH,
        headers: [
          ['content-type', 'application/json'],
          ['x-api-key', harness.key],
          ['x-api-key', harness.key],
        ],
        body: chatBody(),
      }),
    );
    assert.equal(doubled.status, 400);
    assert.equal(engine.requests.length, before);
  });

  it('takes no credential from the query', async () => {
    const answer = await fetch(`${harness.url}/v1/models?key=${harness.key}&api_key=${harness.key}&access_token=${harness.key}`);
    assert.equal(answer.status, 401);
    assert.ok(!JSON.stringify(harness.log).includes(harness.key));
  });

  it('asks for the body only once the caller is known', async () => {
    const head = (key: string): Buffer =>
      requestBytes({
        target: PATH,
        automatic: false,
        headers: [
          ['host', 'localhost'],
          ['content-type', 'application/json'],
          ['authorization', `Bearer ${key}`],
          ['content-length', String(chatBody().length)],
          ['expect', '100-continue'],
        ],
      });
    await using known = await RawConnection.open({ port: harness.port });
    await known.send(head(harness.key));
    assert.equal((await known.next()).status, 100);
    await known.send(chatBody());
    assert.equal((await known.next()).status, 200);
    await using stranger = await RawConnection.open({ port: harness.port });
    await stranger.send(head('sp_live_nonsense'));
    const refused = await stranger.next();
    assert.deepEqual([refused.status, refused.header('connection')], [401, 'close']);
    await stranger.waitForClose();
  });

  it('refuses a body over the limit without reading it, with and without a declared length', async () => {
    const head = (framing: [string, string]): Buffer =>
      requestBytes({
        target: PATH,
        automatic: false,
        headers: [['host', 'localhost'], ['content-type', 'application/json'], ['authorization', `Bearer ${harness.key}`], framing],
      });
    await using declared = await RawConnection.open({ port: harness.port });
    await declared.send(head(['content-length', String(100 * 1024 * 1024)]));
    const refused = await declared.next();
    assert.deepEqual([refused.status, codeOf(refused), refused.header('connection')], [413, 'request_too_large', 'close']);
    await declared.waitForClose();

    await using chunked = await RawConnection.open({ port: harness.port });
    await chunked.send(head(['transfer-encoding', 'chunked']));
    const block = Buffer.from(`4000\r\n${'a'.repeat(0x4000)}\r\n`);
    for (let sent = 0; sent < 10 * HTTP_LIMIT && chunked.received.length === 0; sent += block.length) await chunked.send(block);
    const cut = await chunked.next();
    assert.deepEqual([cut.status, codeOf(cut)], [413, 'request_too_large']);
    await chunked.waitForClose();
    await assertStillServing();
  });

  it('gives a client that sends on while it is refused its answer', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'a');
    for (let i = 0; i < 5; i += 1) {
      const answer = await post(harness, PATH, body);
      assert.deepEqual([answer.status, answer.headers.get('connection')], [413, 'close']);
      await answer.text();
    }
  });

  it('gives its answer to a client that reads only once it has sent all of 32 MB', async () => {
    const megabyte = Buffer.alloc(1024 * 1024, 'a');
    const head = [`POST ${PATH} HTTP/1.1`, 'host: localhost', 'content-type: application/json', `content-length: ${32 * megabyte.length}`];
    for (const credential of [harness.key, 'sp_live_nonsense', harness.key, 'sp_live_nonsense']) {
      const socket = connect({ port: harness.port, host: '127.0.0.1' });
      socket.write([...head, `authorization: Bearer ${credential}`, '', ''].join('\r\n'));
      for (let sent = 0; sent < 32; sent += 1) await new Promise((resolve) => socket.write(megabyte, resolve));
      const answer = await text(socket);
      assert.match(answer, credential === harness.key ? /^HTTP\/1\.1 413 .*"request_too_large"/s : /^HTTP\/1\.1 401 .*"invalid_api_key"/s);
    }
  });

  it('does not take up what stands behind a refused request', async () => {
    const asked = engine.requests.length;
    const body = Buffer.alloc(2 * HTTP_LIMIT, 'a');
    const refused = requestBytes({
      target: PATH,
      headers: [
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${harness.key}`],
      ],
      body,
    });
    const next = requestBytes({
      target: PATH,
      headers: [
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${harness.key}`],
      ],
      body: chatBody(),
    });
    await using connection = await RawConnection.open({ port: harness.port });
    await connection.send(refused.subarray(0, refused.length - 1));
    assert.equal((await connection.next()).status, 413);
    await connection.send(Buffer.concat([refused.subarray(refused.length - 1), next]));
    await connection.waitForClose();
    await assertStillServing();
    assert.equal(engine.requests.length, asked + 1);
  });

  it('gives up on slow heads and slow bodies, and serves others meanwhile', async () => {
    await using slowHead = await RawConnection.open({ port: harness.port });
    await slowHead.send('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n');
    await using slowBody = await RawConnection.open({ port: harness.port });
    await slowBody.send(
      requestBytes({
        target: PATH,
        automatic: false,
        headers: [
          ['host', 'localhost'],
          ['content-type', 'application/json'],
          ['authorization', `Bearer ${harness.key}`],
          ['content-length', '1000'],
        ],
        body: '{"model":',
      }),
    );
    const trickling = slowBody.trickle('"chat"'.padEnd(500), 1, 50);
    await assertStillServing();
    const [head, body] = await Promise.all([slowHead.next(), slowBody.next()]);
    assert.deepEqual([head.status, codeOf(head)], [408, 'request_timeout']);
    assert.deepEqual([body.status, codeOf(body), body.header('connection')], [408, 'request_timeout', 'close']);
    await Promise.all([slowHead.waitForClose(), slowBody.waitForClose(), trickling]);
  });

  it('answers pipelined requests in their order', async () => {
    await using connection = await RawConnection.open({ port: harness.port });
    for (const text of ['one', 'two', 'three']) engine.once(answerJson(chatReply(text, 'chat')));
    await connection.send(pipelined(harmless(), 3));
    for (const text of ['one', 'two', 'three']) {
      const answer = await connection.next();
      assert.equal(JSON.parse(answer.body.toString()).choices[0].message.content, text);
    }
  });

  it('ends a connection that pipelines without end', async () => {
    const behaviour = engine.behaviour;
    engine.behaviour = hangBeforeHeaders();
    const before = engine.requests.length;
    await using connection = await RawConnection.open({ port: harness.port });
    await connection.send(pipelined(harmless(), 500));
    await connection.waitForClose();
    engine.behaviour = behaviour;
    assert.ok(engine.requests.length - before < 50);
    await assertStillServing();
  });

  it('ends the connection at a bad pipelined request without writing into the answer before it', async () => {
    engine.once(stream([...chatStream(['one', 'two', 'three'], 'chat')], { delayMs: 20 }));
    await using connection = await RawConnection.open({ port: harness.port });
    const good = requestBytes({
      target: PATH,
      headers: [
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${harness.key}`],
      ],
      body: chatBody({ stream: true }),
    });
    await connection.send(good);
    await connection.waitFor('"one"');
    await connection.send('GARBAGE\r\n\r\n');
    await connection.waitForClose();
    const received = connection.received.toString();
    assert.equal(received.indexOf('HTTP/1.1 '), received.lastIndexOf('HTTP/1.1 '), 'a second answer inside the first');
    assert.ok(!received.includes('[DONE]'));
  });
});
