import assert from 'node:assert/strict';
import { request as send } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '@sallyport/core';
import { answerJson, chatReply, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import type { BodiesPort } from '../src/index.ts';
import { MAX_KEPT_STREAM } from '../src/kept-bodies.ts';
import { chatBody, GUARD, type Harness, type HarnessOptions, post, startHarness, upstream } from './harness.ts';

/** Stands in for the store, which has tests of its own: what it holds, and whether its disk takes anything. */
class MemoryBodies implements BodiesPort {
  readonly held = new Map<string, string>();
  readonly subjects = new Set<string>();
  disk: 'takes' | 'refuses' | 'unsafe' = 'takes';
  /** Entries that were there when a body became durable. */
  readonly before: number[] = [];
  entries: readonly unknown[] = [];

  async seal({ tenant, id }: Principal, name: string, body: Uint8Array): Promise<boolean> {
    await sleep(2);
    if (this.disk === 'refuses') throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
    if (this.disk === 'unsafe') return false;
    this.held.set(name, Buffer.from(body).toString());
    this.subjects.add(`${tenant}/${id}`);
    this.before.push(this.entries.length);
    return true;
  }
}

interface Bench extends AsyncDisposable {
  readonly engine: ScriptedUpstream;
  readonly harness: Harness;
  readonly bodies: MemoryBodies;
}

async function start(setup: Omit<HarnessOptions, 'upstreams'> = {}): Promise<Bench> {
  const engine = await ScriptedUpstream.start();
  const bodies = new MemoryBodies();
  const harness = await startHarness({ upstreams: [upstream(engine.url)], ...setup, options: { bodies, ...setup.options } });
  bodies.entries = harness.entries;
  return {
    engine,
    harness,
    bodies,
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

const DENY = [{ name: 'word', pattern: 'XYZZY', ignoreCase: false, stages: ['input', 'output'], action: 'block' }] as const;

test('a whole exchange: what the client sent and what it got, both before the entry that says so', async () => {
  await using bench = await start();
  const { engine, harness, bodies } = bench;
  engine.once(answerJson(chatReply('Good day')));
  const sent = chatBody({ temperature: 0.5 });
  const answer = await post(harness, '/v1/chat/completions', sent);
  const got = await answer.text();
  const id = answer.headers.get('x-request-id');
  assert.deepEqual([...bodies.held].sort(), [
    [`${id}-prompt`, sent],
    [`${id}-reply`, got],
  ]);
  assert.deepEqual(bodies.before, [0, 0]);
  assert.deepEqual([...bodies.subjects], [`acme/${harness.entries[0]?.principal?.id}`]);
  assert.deepEqual([harness.entries[0]?.outcome, harness.entries[0]?.detail['bodies']], ['answered', 'sealed']);
});

for (const mode of ['transform', 'hold'] as const) {
  test(`a stream, ${mode}: what went to the client, end marker included`, async () => {
    await using bench = await start({ snapshot: { guard: { ...GUARD, mode } } });
    const { engine, harness, bodies } = bench;
    engine.once(stream(chatStream(['One', ' two', ' three']), { contentType: 'text/event-stream' }));
    const answer = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
    const got = await answer.text();
    assert.match(got, /\[DONE\]/);
    assert.equal(bodies.held.get(`${answer.headers.get('x-request-id')}-reply`), got);
    assert.equal(harness.entries[0]?.detail['bodies'], 'sealed');
  });
}

test('a stream that is longer than the bound is cut there, and the entry says so', async () => {
  await using bench = await start();
  const { engine, harness, bodies } = bench;
  const text = 'abcdefgh '.repeat(60_000);
  engine.once(stream(chatStream(Array.from({ length: 10 }, () => text)), { contentType: 'text/event-stream' }));
  const answer = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
  const got = await answer.text();
  assert.ok(got.length > MAX_KEPT_STREAM);
  assert.equal(bodies.held.get(`${answer.headers.get('x-request-id')}-reply`), got.slice(0, MAX_KEPT_STREAM));
  assert.equal(harness.entries[0]?.detail['bodies'], 'cut');
});

test('what was blocked has its prompt; what the client did not get is no reply', async () => {
  await using bench = await start({ snapshot: { guard: { ...GUARD, deny: [...DENY] } } });
  const { engine, harness, bodies } = bench;
  const kept = async (body: string): Promise<(string | undefined)[]> => {
    bodies.held.clear();
    const answer = await post(harness, '/v1/chat/completions', body);
    await answer.text();
    const id = answer.headers.get('x-request-id');
    const { outcome, detail } = harness.entries.at(-1) ?? assert.fail('no entry');
    assert.equal(detail['bodies'], 'sealed');
    return [outcome, bodies.held.get(`${id}-prompt`), bodies.held.get(`${id}-reply`)];
  };
  const blocked = chatBody({ messages: [{ role: 'user', content: 'say XYZZY' }] });
  assert.deepEqual(await kept(blocked), ['blocked', blocked, undefined]);
  engine.once(answerJson(chatReply('It is XYZZY.')));
  assert.deepEqual(await kept(chatBody()), ['blocked', chatBody(), undefined]);
  // A stream that is stopped: the beginning has gone to the client already.
  engine.once(
    stream(chatStream(['Once upon a time there was a word. ', 'It was XYZZY', ' and more']), { contentType: 'text/event-stream' }),
  );
  const [outcome, , reply] = await kept(chatBody({ stream: true }));
  assert.ok(outcome === 'blocked' || outcome === 'cut');
  assert.match(reply ?? '', /Once upon a time/);
  assert.doesNotMatch(reply ?? '', /XYZZY|DONE/);
});

test('a client that leaves: what it had got by then', async () => {
  await using bench = await start();
  const { engine, harness, bodies } = bench;
  engine.once(stream(chatStream(['first', 'second', 'third']), { contentType: 'text/event-stream', delayMs: 200 }));
  await new Promise<void>((done) => {
    const headers = { authorization: `Bearer ${harness.key}`, 'content-type': 'application/json' };
    const request = send(`${harness.url}/v1/chat/completions`, { method: 'POST', headers }, (response) => {
      response.once('data', () => request.destroy());
      response.once('close', done).on('error', () => undefined);
    });
    request.on('error', () => undefined).end(chatBody({ stream: true }));
  });
  while (harness.entries.length === 0) await sleep(10);
  const [entry] = harness.entries;
  assert.deepEqual([entry?.outcome, entry?.detail['bodies']], ['abandoned', 'sealed']);
  assert.equal(bodies.held.get(`${entry?.id}-prompt`), chatBody({ stream: true }));
  assert.doesNotMatch(bodies.held.get(`${entry?.id}-reply`) ?? '', /third/);
});

test('nothing is kept of unknown senders, of what was refused before it was admitted, and of requests that put no text before a model', async () => {
  const limits = [{ name: 'one', per: 'key', quantity: 'requests', amount: 1, window: 60_000, models: ['chat'] }] as const;
  await using bench = await start({ snapshot: { limits } });
  const { engine, harness, bodies } = bench;
  assert.equal((await post(harness, '/v1/chat/completions', chatBody(), { authorization: 'Bearer sp_live_nobody' })).status, 401);
  engine.once(answerJson(chatReply('Hi')));
  assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 200);
  bodies.held.clear();
  assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 429);
  assert.equal((await post(harness, '/v1/chat/completions', '{"model":')).status, 400);
  assert.equal((await post(harness, '/api/show', '{"model":"nobody"}')).status, 404);
  assert.equal((await post(harness, '/v1/chat/completions', chatBody({ model: 'nobody' }))).status, 404);
  await sleep(20);
  assert.equal(bodies.held.size, 0);
  for (const entry of harness.entries.slice(1)) assert.equal(entry.detail['bodies'], undefined);
});

test('a disk that takes nothing: refused with the fault of the ledger, or answered and said', async () => {
  await using bench = await start();
  const { engine, harness, bodies } = bench;
  bodies.disk = 'refuses';
  engine.once(answerJson(chatReply('Hi')));
  const refused = await post(harness, '/v1/chat/completions', chatBody());
  const body = await refused.text();
  assert.equal(refused.status, 503);
  assert.match(body, /cannot record requests/);
  assert.doesNotMatch(body, /Hi/);
  const [entry] = harness.entries;
  assert.deepEqual([entry?.outcome, entry?.fault, entry?.detail['bodies']], ['failed', 'not_ready', 'failed']);
  // A stream has begun: it is cut, and its end marker stays out.
  engine.once(stream(chatStream(['One', ' two']), { contentType: 'text/event-stream' }));
  const cut = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
  await assert.rejects(cut.text());

  bodies.disk = 'unsafe';
  engine.once(answerJson(chatReply('Hi')));
  assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 200);
  assert.deepEqual([harness.entries.at(-1)?.outcome, harness.entries.at(-1)?.detail['bodies']], ['answered', 'failed']);
  // No text, and no name of a person, in what the operator's log has.
  assert.doesNotMatch(JSON.stringify(harness.log), /Hello|One/);
});

test('off: no entry speaks of bodies', async () => {
  await using bench = await start({ options: { bodies: null } });
  bench.engine.once(answerJson(chatReply('Hi')));
  assert.equal((await post(bench.harness, '/v1/chat/completions', chatBody())).status, 200);
  assert.equal(bench.harness.entries[0]?.detail['bodies'], undefined);
});
