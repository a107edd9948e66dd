import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Snapshot } from '@sallyport/core';
import {
  activeResources,
  answerJson,
  type Behaviour,
  chatReply,
  chatStream,
  eventually,
  hangBeforeHeaders,
  RawConnection,
  requestBytes,
  reset,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, HTTP, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const EVENTS = chatStream(['one', 'secret', 'three'], 'chat');
const START = Buffer.concat(EVENTS.slice(0, 2));
const REST = Buffer.concat(EVENTS.slice(2));

function chatRequest(harness: Harness, change: Record<string, unknown> = { stream: true }): Buffer {
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${harness.key}`],
  ];
  return requestBytes({ target: CHAT, headers, body: chatBody(change) });
}

/** A stream that stops after its first text until `go` is called. */
async function startStream(engine: ScriptedUpstream, harness: Harness): Promise<{ connection: RawConnection; go(): void }> {
  const gate = Promise.withResolvers<void>();
  engine.once(async ({ request, response, signal }) => {
    await request.body;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(START);
    await gate.promise;
    signal.throwIfAborted();
    response.end(REST);
  });
  const connection = await RawConnection.open({ port: harness.port });
  await connection.send(chatRequest(harness));
  await connection.waitFor('one');
  return { connection, go: gate.resolve };
}

const start = async (change: Partial<Snapshot> = {}): Promise<{ engine: ScriptedUpstream; harness: Harness } & AsyncDisposable> => {
  const engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  const timeouts = { connect: 500, firstByte: 5_000, idle: 5_000, total: 10_000 };
  const harness = await startHarness({ upstreams: [upstream(engine.url, { timeouts })], snapshot: change });
  return {
    engine,
    harness,
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await engine.close();
    },
  };
};

describe('a new snapshot', () => {
  it('is for the next exchange; a running one keeps the one it began with', async () => {
    await using pair = await start();
    const { connection, go } = await startStream(pair.engine, pair.harness);
    await using _closing = connection;
    const deny = { name: 'no', pattern: 'secret', ignoreCase: false, stages: ['output'] as const, action: 'block' as const };
    pair.harness.publish({ guard: { ...GUARD, deny: [deny] }, upstreams: new Map(), routes: new Map() });
    go();
    const answer = await connection.next();
    assert.equal(answer.body.toString(), Buffer.concat(EVENTS).toString());
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 404);
  });

  it('ends a key at once', async () => {
    await using pair = await start();
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 200);
    const revokedAt = Date.now() - 1;
    const keys = new Map([...pair.harness.keys].map(([id, key]) => [id, { ...key, revokedAt }]));
    pair.harness.publish({ keys });
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 401);
    pair.harness.publish({ keys: new Map() });
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 401);
  });

  it('that cannot be used leaves the one in force in force', async () => {
    await using pair = await start();
    const deny = { name: 'bad', pattern: '(unclosed', ignoreCase: false, stages: ['output'] as const, action: 'block' as const };
    pair.harness.publish({ guard: { ...GUARD, deny: [deny] } });
    assert.ok(pair.harness.log.some(({ event }) => event === 'snapshot.refused'));
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 200);
    assert.equal(pair.harness.gateway.health().snapshot?.version, 1);
  });

  it('lets those who wait for a slot have it on the server they wait for', async () => {
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    await using harness = await startHarness({ upstreams: [upstream(engine.url, { maxConcurrency: 1 })] });
    const { connection, go } = await startStream(engine, harness);
    await using _closing = connection;
    const waiting = post(harness, CHAT, chatBody());
    // Until both are admitted.
    await eventually(
      'the second waits',
      async () => (await fetch(`${harness.url}/v1/models`)).status === 401 && engine.requests.length === 1,
    );
    await new Promise((resolve) => setTimeout(resolve, 30));
    harness.gateway.reload(null);
    go();
    assert.equal((await waiting).status, 200);
    assert.ok((await connection.next()).body.includes('[DONE]'));
  });
});

describe('without a snapshot', () => {
  it('nothing is answered but health, which says so', async () => {
    let take: (snapshot: Snapshot) => void = () => undefined;
    let first: Snapshot | null = null;
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url)],
      onSnapshot: (snapshot) => {
        first = snapshot;
      },
      options: {
        snapshots: {
          current: () => null,
          subscribe: (listener) => {
            take = listener;
            return () => undefined;
          },
          staleSince: () => null,
        },
      },
    });
    const refused = await post(harness, CHAT, chatBody());
    assert.deepEqual([refused.status, JSON.parse(await refused.text()).error.code], [503, 'not_ready']);
    assert.equal(refused.headers.get('retry-after'), '1');
    const ready = await fetch(`${harness.url}/health/ready`);
    assert.deepEqual([ready.status, ((await ready.json()) as { reason: string }).reason], [503, 'no-snapshot']);
    assert.equal((await fetch(`${harness.url}/health/live`)).status, 200);
    take(first ?? assert.fail());
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.equal((await fetch(`${harness.url}/health/ready`)).status, 200);
  });
});

describe('a drain', () => {
  it('lets a stream finish, refuses new connections, and ends kept ones with their next answer', async () => {
    await using pair = await start();
    const { connection, go } = await startStream(pair.engine, pair.harness);
    await using _closing = connection;
    await using kept = await RawConnection.open({ port: pair.harness.port });
    pair.engine.once(hangBeforeHeaders());
    await kept.send(chatRequest(pair.harness));
    await eventually('the second request runs', () => pair.engine.requests.length === 2);
    const draining = pair.harness.gateway.drain();
    await assert.rejects(RawConnection.open({ port: pair.harness.port }));
    assert.deepEqual([pair.harness.gateway.health().ready, pair.harness.gateway.health().reason], [false, 'draining']);
    go();
    assert.ok((await connection.next()).body.includes('[DONE]'));
    kept.reset();
    await draining;
    await connection.waitForClose();
  });

  it('cuts what still runs after its time', async () => {
    await using pair = await start({ http: { ...HTTP, drainTimeout: 300 } });
    const { connection, go } = await startStream(pair.engine, pair.harness);
    await using _closing = connection;
    await pair.harness.gateway.drain();
    await connection.waitForClose();
    assert.ok(!connection.received.includes('[DONE]'));
    await pair.engine.requests[0]?.left;
    await eventually('it is recorded', () => pair.harness.entries.at(-1)?.outcome === 'abandoned');
    go();
  });
});

describe('a ledger that fails', () => {
  it('in the middle of a stream keeps its end from the client', async () => {
    await using pair = await start();
    const { connection, go } = await startStream(pair.engine, pair.harness);
    await using _closing = connection;
    pair.harness.ledger.broken = true;
    go();
    await connection.waitForClose();
    assert.ok(!connection.received.includes('[DONE]'));
    assert.ok(pair.harness.log.some(({ event }) => event === 'ledger.append'));
    assert.equal((await fetch(`${pair.harness.url}/health/ready`)).status, 503);
    pair.harness.ledger.broken = false;
    assert.equal((await fetch(`${pair.harness.url}/health/ready`)).status, 200);
  });

  it('answers refusals too only with what it could record', async () => {
    await using pair = await start();
    pair.harness.ledger.broken = true;
    const refused = await post(pair.harness, CHAT, chatBody({ model: 'nothing' }));
    assert.deepEqual([refused.status, JSON.parse(await refused.text()).error.code], [503, 'not_ready']);
    pair.harness.ledger.broken = false;
  });
});

describe('the end of a stream', () => {
  it('is the end marker, however long the upstream lingers after it and however it ends', async () => {
    await using pair = await start();
    const endings: Behaviour[] = [
      hangBeforeHeaders(),
      ({ socket }) => void socket.resetAndDestroy(),
      ({ socket }) => void socket.destroy(),
    ];
    for (const ending of endings) {
      pair.engine.once(async (exchange) => {
        const { request, response } = exchange;
        await request.body;
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(Buffer.concat(EVENTS));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await ending(exchange);
      });
      const answer = await post(pair.harness, CHAT, chatBody({ stream: true }));
      assert.equal(await answer.text(), Buffer.concat(EVENTS).toString());
      assert.equal(pair.harness.entries.at(-1)?.outcome, 'answered');
    }
    pair.engine.once(stream([...EVENTS, 'data: {"choices":[]}\n\n', 'garbage\n\n'], { ending: 'hang' }));
    const talkative = await post(pair.harness, CHAT, chatBody({ stream: true }));
    await talkative.text();
    assert.equal((await post(pair.harness, CHAT, chatBody())).status, 200);
  });
});

describe('resources', () => {
  it('are all given back when the gateway ends', async () => {
    const before = activeResources();
    {
      await using pair = await start();
      const { engine, harness } = pair;
      await using deaf = await ScriptedUpstream.start({ behaviour: reset() });
      harness.publish({
        upstreams: new Map([
          ['engine', upstream(engine.url)],
          ['deaf', upstream(deaf.url, { name: 'deaf' })],
        ]),
        routes: new Map([
          ['chat', route('chat')],
          ['dead', route('dead', { upstream: 'deaf' })],
        ]),
      });
      for (let i = 0; i < 20; i += 1) {
        await (await post(harness, CHAT, chatBody())).text();
        await (await post(harness, CHAT, chatBody({ model: 'dead' }))).text();
        await (await post(harness, CHAT, '{')).text();
        await (await post(harness, CHAT, chatBody(), { authorization: 'Bearer no' })).text();
        engine.once(stream(EVENTS));
        await (await post(harness, CHAT, chatBody({ stream: true }))).text();
        const { connection } = await startStream(engine, harness);
        connection.reset();
      }
      await eventually('all are recorded', () => harness.entries.filter(({ outcome }) => outcome === 'abandoned').length === 20);
    }
    await eventually('nothing is left', () => {
      const now = activeResources();
      // The test's own client keeps connections; the gateway has closed its ends of them.
      return ['TCPServerWrap', 'TCPSocketWrap', 'TLSWrap', 'Timeout'].every(
        (kind) => (now.get(kind) ?? 0) <= (before.get(kind) ?? 0) + (kind === 'Timeout' ? 1 : 0),
      );
    });
  });
});
