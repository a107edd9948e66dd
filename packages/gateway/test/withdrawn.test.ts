import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { KeyRecord } from '@sallyport/core';
import { chatStream, eventually, hangBeforeHeaders, hangMidBody, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { DIALECTS } from './dialects.ts';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const timeouts = { connect: 500, firstByte: 8_000, idle: 8_000, total: 20_000 };

describe('an exchange whose permission is withdrawn', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [
        upstream(engine.url, { timeouts, maxConcurrency: 1 }),
        upstream(engine.url, { name: 'ollama', kind: 'ollama', timeouts }),
        { ...upstream('', { name: 'demo' }), kind: 'demo' },
      ],
      routes: [route('chat'), route('llama', { upstream: 'ollama' }), route('demo', { upstream: 'demo' })],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const changed = new Map<string, KeyRecord>();
  const change = (id: string, to: Partial<KeyRecord>): void => {
    changed.set(id, { ...(harness.keys.get(id) ?? assert.fail()), ...to });
    harness.publish({ keys: new Map([...harness.keys, ...changed]) });
  };
  const revoke = (id: string): void => change(id, { revokedAt: Date.now() });
  /** A key of the snapshot in force. */
  const addKey = (to: Partial<KeyRecord> = {}): string => {
    const key = harness.addKey(to);
    harness.publish({ keys: new Map([...harness.keys, ...changed]) });
    return key;
  };
  /** The id is between the second and the third underscore (docs/api-keys.md). */
  const idOf = (key: string): string => key.split('_')[2] ?? assert.fail();
  const connect = async (key: string, path: string, body: string): Promise<RawConnection> => {
    const connection = await RawConnection.open({ port: harness.port });
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${key}`],
    ];
    await connection.send(requestBytes({ target: path, headers, body }));
    return connection;
  };

  for (const dialect of DIALECTS) {
    it(`ends a stream with the error event of ${dialect.name}, and frees the server`, async () => {
      const key = addKey();
      const entries = harness.entries.length;
      engine.once(hangMidBody(Buffer.concat(dialect.events(['one', 'two']).slice(0, 2)), { 'content-type': dialect.streamType }));
      const count = engine.requests.length;
      await using connection = await connect(key, dialect.path, dialect.body(true));
      await eventually('the stream has begun', () => connection.received.length > 0);
      revoke(idOf(key));
      await connection.waitFor('withdrawn while it ran');
      await engine.requests[count]?.left;
      assert.ok(!connection.received.toString('latin1').includes(dialect.endMarker));
      const entry = harness.entries.slice(entries).find((one) => one.kind === 'request') ?? assert.fail();
      assert.deepEqual([entry.outcome, entry.fault, entry.detail['reason']], ['cut', 'invalid_api_key', 'withdrawn: credential:revoked']);
    });
  }

  it('answers 401 where nothing of the reply had come', async () => {
    const key = addKey();
    engine.once(hangBeforeHeaders());
    const count = engine.requests.length;
    const answer = post(harness, CHAT, chatBody(), { authorization: `Bearer ${key}` });
    await eventually('the request reaches the engine', () => engine.requests.length > count);
    revoke(idOf(key));
    const response = await answer;
    assert.equal(response.status, 401);
    await engine.requests[count]?.left;
    assert.equal(harness.gateway.health().upstreams.find(({ name }) => name === 'engine')?.state === 'degraded', false);
  });

  it('ends who waits for a slot, and who still sends the body', async () => {
    const [holder, waiter, sender] = [addKey(), addKey(), addKey()];
    engine.once(hangBeforeHeaders());
    const count = engine.requests.length;
    const held = post(harness, CHAT, chatBody(), { authorization: `Bearer ${holder}` });
    await eventually('the slot is taken', () => engine.requests.length > count);
    const waiting = post(harness, CHAT, chatBody(), { authorization: `Bearer ${waiter}` });
    await using half = await RawConnection.open({ port: harness.port });
    await half.send(
      Buffer.from(
        `POST ${CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${sender}\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"model"`,
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    revoke(idOf(waiter));
    assert.equal((await waiting).status, 401);
    revoke(idOf(sender));
    await half.waitFor('401 Unauthorized');
    assert.equal(engine.requests.length, count + 1);
    revoke(idOf(holder));
    assert.equal((await held).status, 401);
  });

  it('is not served where its model was taken away while it sent the body', async () => {
    const narrowed = addKey();
    const count = engine.requests.length;
    const body = chatBody();
    await using half = await RawConnection.open({ port: harness.port });
    await half.send(
      Buffer.from(
        `POST ${CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${narrowed}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    change(idOf(narrowed), { models: ['llama'] });
    await half.send(Buffer.from(body.slice(9)));
    await half.waitFor('401 Unauthorized');
    assert.equal(engine.requests.length, count);
    assert.match(String(harness.entries.at(-1)?.detail['reason']), /^withdrawn: /);
  });

  it('ends the built-in model too, and leaves others alone', async () => {
    const [key, other] = [addKey(), addKey()];
    await using mine = await connect(key, CHAT, chatBody({ model: 'demo', stream: true }));
    await using theirs = await connect(other, CHAT, chatBody({ model: 'demo', stream: true }));
    await mine.waitFor('built-in');
    revoke(idOf(key));
    await mine.waitFor('withdrawn while it ran');
    await theirs.waitFor('[DONE]');
  });

  it('counts a model or a role that is taken away, and not a credential that ran out by itself', async () => {
    const narrowed = addKey();
    const short = addKey({ expiresAt: Date.now() + 300 });
    const gate = Promise.withResolvers<void>();
    const events = chatStream(['one', 'two'], 'llama');
    engine.behaviour = async ({ request, response, signal }) => {
      await request.body;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(Buffer.concat(events.slice(0, 2)));
      await gate.promise;
      if (!signal.aborted) response.end(Buffer.concat(events.slice(2)));
    };
    const body = chatBody({ model: 'llama', stream: true });
    await using first = await connect(narrowed, CHAT, body);
    await using second = await connect(short, CHAT, body);
    await first.waitFor('one');
    await second.waitFor('one');
    await new Promise((resolve) => setTimeout(resolve, 350));
    change(idOf(narrowed), { models: ['chat'] });
    await first.waitFor('withdrawn while it ran');
    gate.resolve();
    await second.waitFor('[DONE]');
  });
});
