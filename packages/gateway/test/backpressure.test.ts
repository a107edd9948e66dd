import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import {
  answer,
  type Behaviour,
  chatReply,
  chatStream,
  eventually,
  RawConnection,
  requestBytes,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, HTTP, post, startHarness, upstream } from './harness.ts';

const MB = 1024 * 1024;
/** What the kernel may buffer on two loopback connections, the gateway's own buffers included. Bytes. */
const IN_FLIGHT = 24 * MB;

/** An endless well-formed stream, written as fast as it is taken, and how much was. */
function flood(total: number): { behaviour: Behaviour; sent: () => number } {
  let sent = 0;
  const [, event = Buffer.alloc(0)] = chatStream(['x'.repeat(60_000)], 'chat');
  const behaviour: Behaviour = async ({ request, response, signal }) => {
    await request.body;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    while (sent < total) {
      signal.throwIfAborted();
      sent += event.length;
      if (!response.write(event)) await once(response, 'drain', { signal });
    }
    response.end('data: [DONE]\n\n');
  };
  return { behaviour, sent: () => sent };
}

function chatRequest(harness: Harness, body: string): Buffer {
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${harness.key}`],
  ];
  return requestBytes({ target: '/v1/chat/completions', headers, body });
}

describe('a client that reads slowly or not at all', () => {
  it('slows its upstream and nobody else, costs little memory, and is cut after a while', async () => {
    await using engine = await ScriptedUpstream.start();
    const timeouts = { connect: 500, firstByte: 2_000, idle: 500, total: 30_000 };
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts })],
      snapshot: { http: { ...HTTP, bodyTimeout: 1_500 } },
    });
    const { behaviour, sent } = flood(100 * MB);
    engine.once(behaviour);
    const before = process.memoryUsage().rss;
    await using connection = await RawConnection.open({ port: harness.port });
    connection.socket.pause();
    await connection.send(chatRequest(harness, chatBody({ stream: true })));
    let last = -1;
    await eventually('the upstream is paused', async () => {
      const same = sent() > 0 && sent() === last;
      last = sent();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return same;
    });
    assert.ok(sent() < IN_FLIGHT, `${sent()} bytes were taken for a client that reads none`);
    assert.ok(process.memoryUsage().rss - before < 100 * MB);
    engine.once(stream(chatStream(['Hi'], 'chat')));
    const other = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
    assert.ok((await other.text()).endsWith('[DONE]\n\n'));
    await engine.requests[0]?.left;
    await eventually('the exchange is recorded', () => harness.entries.length === 2);
    assert.equal(harness.entries.at(-1)?.outcome, 'abandoned');
    assert.equal(harness.entries.at(-1)?.detail['reason'], 'slow reader');
    connection.socket.resume();
    await connection.waitForClose();
    assert.ok(!connection.received.includes('[DONE]'));
  });

  it('gets all of a long stream if it only reads on', async () => {
    await using engine = await ScriptedUpstream.start();
    const timeouts = { connect: 500, firstByte: 2_000, idle: 500, total: 30_000 };
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts })],
      snapshot: { http: { ...HTTP, bodyTimeout: 500 } },
    });
    const { behaviour, sent } = flood(30 * MB);
    engine.once(behaviour);
    const answered = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
    let size = 0;
    let pauses = 0;
    for await (const chunk of answered.body ?? []) {
      size += chunk.length;
      // Every pause is longer than the upstream may be idle, which it is not: it is held back.
      if (size > (pauses + 1) * 12 * MB) {
        pauses += 1;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
    assert.equal(size, sent() + 'data: [DONE]\n\n'.length);
    assert.equal(harness.entries.at(-1)?.outcome, 'answered');
  });
});

describe('a client that does not read its answer', { concurrency: 4 }, () => {
  for (const mode of ['transform', 'hold'] as const) {
    for (const streaming of [false, true]) {
      const what = `a ${streaming ? 'streamed' : 'whole'} answer in ${mode} mode`;
      it(`is cut where it takes nothing of ${what}, and not where it only takes its time`, async () => {
        await using engine = await ScriptedUpstream.start();
        await using harness = await startHarness({
          upstreams: [upstream(engine.url)],
          snapshot: { http: { ...HTTP, bodyTimeout: 1_800 }, guard: { ...GUARD, mode, maxTextLength: 50 * MB } },
        });
        const pieces = Array.from({ length: 200 }, () => 'x'.repeat(60_000));
        const whole = JSON.stringify(chatReply(pieces.join(''), 'chat'));
        engine.behaviour = streaming ? stream(chatStream(pieces, 'chat')) : answer(200, { 'content-type': 'application/json' }, whole);
        const size = streaming ? Buffer.concat(chatStream(pieces, 'chat')).length : whole.length;

        const sleeper = await ask(harness, streaming);
        const reader = await ask(harness, streaming);
        await eventually('both are answered', () => engine.requests.length === 2);
        // In steps none of which takes as long as a client may be silent; all of them together take longer.
        while (reader.taken < size) {
          await reader.take(2 * MB);
          assert.ok(!reader.socket.destroyed, `cut after ${reader.taken} of ${size} bytes`);
          await new Promise((resolve) => setTimeout(resolve, 150));
        }
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        await sleeper.take(Number.POSITIVE_INFINITY);
        assert.ok(sleeper.taken < size, 'all of it was kept for a client that did not read');
        reader.socket.destroy();
      });
    }
  }
});

interface Reader {
  readonly socket: Socket;
  readonly taken: number;
  /** Reads until so many further bytes have come or the gateway has closed, then stops reading. */
  take(bytes: number): Promise<void>;
}

async function ask(harness: Harness, streaming: boolean): Promise<Reader> {
  const socket = connectSocket(harness.port, '127.0.0.1');
  socket.on('error', () => undefined); // a reset is one way to be cut
  let taken = 0;
  socket.write(chatRequest(harness, chatBody({ stream: streaming })));
  return {
    socket,
    get taken() {
      return taken;
    },
    take: async (bytes) => {
      const goal = taken + bytes;
      const { promise, resolve } = Promise.withResolvers<void>();
      const onData = (chunk: Buffer): void => {
        taken += chunk.length;
        if (taken >= goal) resolve();
      };
      socket.on('data', onData).once('close', resolve).resume();
      // An answer that is there as a whole keeps its connection open.
      const timer = setTimeout(resolve, 1_000);
      await promise;
      clearTimeout(timer);
      socket.pause();
      socket.removeListener('data', onData).removeListener('close', resolve);
    },
  };
}
