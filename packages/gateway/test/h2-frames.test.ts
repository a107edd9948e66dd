import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, chatReply, eventually, H2Connection, RawConnection, ScriptedUpstream } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

/** Frame types and flags of RFC 9113 section 6. */
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PUSH_PROMISE = 5;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A literal header field with a name of the static table (RFC 7541 section 6.2.1). */
function literal(index: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40 | index, value.length]), Buffer.from(value)]);
}

/** `GET /` of `localhost` over https. */
const HEAD = Buffer.concat([Buffer.from([0x82, 0x87, 0x84]), literal(1, 'localhost')]);
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, Buffer.alloc(0))]);
const REQUEST = frame(HEADERS, END_STREAM | END_HEADERS, 1, HEAD);
const EMPTY = Buffer.alloc(0);

describe('HTTP/2 frames', () => {
  let authority: Authority;
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    authority = await Authority.create();
    const server = await authority.issueServer();
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({
      upstreams: [upstream(engine.url)],
      tls: { cert: server.cert, key: server.key, clientCa: null, clientAuth: 'none', minVersion: 'TLSv1.2' },
      snapshot: { http: { ...HTTP, keepAliveTimeout: 500 } },
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const open = (): Promise<RawConnection> =>
    RawConnection.open({ port: harness.port, tls: { ca: authority.cert, servername: 'localhost', ALPNProtocols: ['h2'] } });
  const assertStillServing = async (): Promise<void> => {
    await using connection = await H2Connection.open(harness.url, { ca: authority.cert, servername: 'localhost' });
    const headers = { ':method': 'POST', ':path': '/v1/chat/completions', 'content-type': 'application/json' };
    const answer = await connection.request({ ...headers, authorization: `Bearer ${harness.key}` }, chatBody());
    assert.equal(answer.status, 200);
  };

  it('that break the protocol right behind a request end the connection and nothing else', async () => {
    const cases: [string, Buffer][] = [
      ['data on stream 0', frame(DATA, 0, 0, Buffer.from('x'))],
      ['data on a closed stream', frame(DATA, 0, 1, Buffer.from('x'))],
      ['an empty window update', frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4))],
      ['a window beyond its limit', frame(WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))],
      ['a push of the client', frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.alloc(8))],
      ['settings of an odd length', frame(SETTINGS, 0, 0, Buffer.alloc(5))],
      ['headers that are no HPACK', frame(HEADERS, END_STREAM | END_HEADERS, 3, Buffer.alloc(7, 0xff))],
      ['an even stream number', frame(HEADERS, END_STREAM | END_HEADERS, 2, HEAD)],
      ['a continuation of nothing', frame(CONTINUATION, END_HEADERS, 1, HEAD)],
      ['a reset', frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]))],
      ['going away', frame(GOAWAY, 0, 0, Buffer.alloc(8))],
      ['a frame larger than allowed', frame(DATA, 0, 1, Buffer.alloc(20_000))],
      ['noise', Buffer.alloc(300, 0xff)],
    ];
    for (const [name, bytes] of cases) {
      await using connection = await open();
      await connection.send(Buffer.concat([PREFACE, REQUEST, bytes]));
      await connection.waitForClose(3_000).catch(() => assert.fail(`${name}: still open`));
    }
    await assertStillServing();
  });

  it('in floods end the connection, or cost nothing', async () => {
    const floods: [string, Buffer][] = [
      ['pings', Buffer.concat(Array.from({ length: 20_000 }, () => frame(PING, 0, 0, Buffer.alloc(8))))],
      ['settings', Buffer.concat(Array.from({ length: 20_000 }, () => frame(SETTINGS, 0, 0, EMPTY)))],
      [
        'empty data',
        Buffer.concat([frame(HEADERS, END_HEADERS, 1, HEAD), ...Array.from({ length: 50_000 }, () => frame(DATA, 0, 1, EMPTY))]),
      ],
      [
        'headers without an end',
        Buffer.concat([
          frame(HEADERS, END_STREAM, 1, HEAD),
          ...Array.from({ length: 20_000 }, () => frame(CONTINUATION, 0, 1, Buffer.alloc(60, 0x84))),
        ]),
      ],
      [
        'requests reset at once',
        Buffer.concat(
          Array.from({ length: 5_000 }, (_, index) =>
            Buffer.concat([
              frame(HEADERS, END_STREAM | END_HEADERS, 2 * index + 1, Buffer.from([0x82, 0x87, 0x84])),
              frame(RST_STREAM, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8])),
            ]),
          ),
        ),
      ],
    ];
    const before = process.memoryUsage().rss;
    for (const [name, bytes] of floods) {
      await using connection = await open();
      await connection.send(Buffer.concat([PREFACE, bytes]));
      await connection.waitForClose(5_000).catch(() => assert.fail(`${name}: still open`));
      await assertStillServing();
    }
    assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
  });

  it('that never complete a request do not keep a connection open', async () => {
    await using half = await open();
    await half.send(Buffer.concat([PREFACE, frame(HEADERS, 0, 1, HEAD)]));
    await using preface = await open();
    await preface.send('PRI * HTTP/2.0\r\n');
    await Promise.all([half.waitForClose(), preface.waitForClose()]);
    await eventually('nothing is left of them', () => harness.log.every(({ event }) => !event.startsWith('exchange.')));
  });
});
