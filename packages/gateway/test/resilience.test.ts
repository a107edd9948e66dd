import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Upstream } from '@sallyport/core';
import {
  answerJson,
  type Behaviour,
  chatReply,
  chatStream,
  closeEarly,
  drip,
  eventually,
  hangBeforeHeaders,
  reset,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { DIALECTS } from './dialects.ts';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const BREAKER = { failures: 3, open: 400, maxOpen: 2_000 };
const timeouts = { connect: 500, firstByte: 150, idle: 150, total: 2_000 };
const good = (text: string): Behaviour => answerJson(chatReply(text, 'chat'));

interface Setup extends AsyncDisposable {
  readonly bad: ScriptedUpstream;
  readonly well: ScriptedUpstream;
  readonly harness: Harness;
  ask(model?: string, stream?: boolean): Promise<{ status: number; text: string; headers: Headers }>;
}

async function start(change: Partial<Upstream> = {}, replicas: readonly string[] = []): Promise<Setup> {
  const bad = await ScriptedUpstream.start({ behaviour: good('bad') });
  const well = await ScriptedUpstream.start({ behaviour: good('well') });
  const harness = await startHarness({
    upstreams: [
      upstream(bad.url, { timeouts, breaker: BREAKER, ...change }),
      upstream(well.url, { name: 'spare', timeouts, breaker: BREAKER }),
    ],
    routes: [
      route('chat', { replicas: [...replicas] }),
      route('other', { upstream: 'spare' }),
      route('saved', { target: 'chat', fallback: ['other'] }),
      route('safe', { fallbackAnswer: 'The assistant is being looked after. Please come back later.' }),
    ],
  });
  return {
    bad,
    well,
    harness,
    ask: async (model = 'chat', stream = false) => {
      const answer = await post(harness, CHAT, chatBody({ model, stream }));
      return { status: answer.status, text: await answer.text(), headers: answer.headers };
    },
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await bad.close();
      await well.close();
    },
  };
}

const AILMENTS: readonly (readonly [name: string, behaviour: Behaviour, stream: boolean])[] = [
  ['answers 500', ({ response }) => void response.writeHead(500).end(), false],
  ['hangs', hangBeforeHeaders(), false],
  ['resets', reset(), false],
  ['closes', closeEarly(), false],
  [
    'answers 200 with garbage',
    ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>it works</html>'),
    false,
  ],
  ['streams garbage', ({ response }) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {{{\n\n'), true],
  [
    'drips bytes and never an event',
    drip(Buffer.from('data: {"id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 1, 20, 'text/event-stream'),
    true,
  ],
];

describe('a server that is ill', () => {
  for (const [name, behaviour, streams] of AILMENTS) {
    it(`${name}: it is cut off, other models are served meanwhile, and it comes back by itself`, async () => {
      await using setup = await start();
      setup.bad.behaviour = behaviour;
      for (let i = 0; i < 3; i += 1) {
        assert.ok((await setup.ask('chat', streams)).status >= 500);
        assert.equal((await setup.ask('other')).status, 200);
      }
      const asked = setup.bad.requests.length;
      const cut = await setup.ask('chat', streams);
      assert.deepEqual([cut.status, cut.headers.get('retry-after')], [503, '1']);
      assert.equal(setup.bad.requests.length, asked);
      assert.match((await setup.ask('saved')).text, /well/);
      setup.bad.behaviour = good('bad');
      await eventually('it is asked again', async () => (await setup.ask()).status === 200);
      assert.equal((await setup.ask()).status, 200);
      assert.deepEqual(
        setup.harness.log.filter(({ event }) => event === 'upstream.breaker').map(({ fields }) => fields['state']),
        ['open', 'half-open', 'closed'],
      );
    });
  }

  it('a server that writes well is not cut off because callers ask for answers without an end', async () => {
    await using setup = await start({ timeouts: { ...timeouts, total: 800 }, breaker: BREAKER });
    const events = chatStream(
      Array.from({ length: 100 }, () => 'word '),
      'chat',
    );
    setup.bad.behaviour = stream(events, { delayMs: 20 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => setup.ask('chat', true)));
    for (const { text } of answers) assert.match(text, /did not finish in time/);
    setup.bad.behaviour = good('bad');
    assert.equal((await setup.ask()).status, 200);
    assert.deepEqual(
      setup.harness.log.filter(({ event }) => event === 'upstream.breaker'),
      [],
    );
  });

  it('a caller who knows what makes the server fail takes it from nobody else, and is kept out alone', async () => {
    await using setup = await start();
    const mallory = { authorization: `Bearer ${setup.harness.addKey({})}` };
    setup.bad.behaviour = async (exchange) => {
      if (String(await exchange.request.body).includes('poison')) exchange.response.writeHead(500).end();
      else await good('bad')(exchange);
    };
    const poison = chatBody({ messages: [{ role: 'user', content: 'poison' }] });
    assert.equal((await setup.ask()).status, 200);
    const statuses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      // Several at once, so that they fail in a row.
      const answers = await Promise.all(Array.from({ length: 4 }, () => post(setup.harness, CHAT, poison, mallory)));
      for (const answer of answers) {
        await answer.arrayBuffer();
        statuses.push(answer.status);
      }
      assert.equal((await setup.ask()).status, 200);
    }
    assert.deepEqual(statuses.slice(0, 4), [502, 502, 502, 502]);
    assert.ok(statuses.slice(4).includes(503), String(statuses));
    assert.deepEqual(
      setup.harness.log.filter(({ event }) => event === 'upstream.breaker'),
      [],
    );
  });

  it('is asked by one call at a time until one succeeds', async () => {
    await using setup = await start();
    setup.bad.behaviour = reset();
    for (let i = 0; i < 3; i += 1) await setup.ask();
    const gate = Promise.withResolvers<void>();
    setup.bad.behaviour = async (exchange) => {
      await gate.promise;
      await good('back')(exchange);
    };
    await new Promise((resolve) => setTimeout(resolve, 450));
    const asked = setup.bad.requests.length;
    const trial = setup.ask();
    await eventually('the trial arrived', () => setup.bad.requests.length > asked);
    const others = await Promise.all(Array.from({ length: 10 }, () => setup.ask()));
    assert.deepEqual([...new Set(others.map(({ status }) => status))], [503]);
    assert.equal(setup.bad.requests.length, asked + 1);
    gate.resolve();
    assert.equal((await trial).status, 200);
  });

  it('a trial whose client leaves is no verdict', async () => {
    await using setup = await start({ timeouts: { ...timeouts, firstByte: 5_000 } });
    setup.bad.behaviour = reset();
    for (let i = 0; i < 3; i += 1) await setup.ask();
    await new Promise((resolve) => setTimeout(resolve, 450));
    setup.bad.behaviour = hangBeforeHeaders();
    const asked = setup.bad.requests.length;
    const leaving = new AbortController();
    const left = fetch(`${setup.harness.url}${CHAT}`, {
      method: 'POST',
      body: chatBody(),
      headers: { authorization: `Bearer ${setup.harness.key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    await eventually('the trial arrived', () => setup.bad.requests.length > asked);
    leaving.abort();
    await assert.rejects(left);
    setup.bad.behaviour = good('back');
    await eventually('the next tries', async () => (await setup.ask()).status === 200, 1_000);
  });

  it('says itself when to come back: that is kept to, and told the client', async () => {
    await using setup = await start();
    setup.bad.once(({ response }) => void response.writeHead(429, { 'retry-after': '2' }).end());
    const refused = await setup.ask();
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '2']);
    assert.equal((await setup.ask()).status, 503);
    assert.equal(setup.bad.requests.length, 1);
    assert.match((await setup.ask('saved')).text, /well/);
  });
});

describe('replicas', () => {
  it('share the calls, and a sick one gets none', async () => {
    await using setup = await start({}, ['spare']);
    for (let i = 0; i < 20; i += 1) assert.equal((await setup.ask()).status, 200);
    assert.ok(
      setup.bad.requests.length >= 5 && setup.well.requests.length >= 5,
      `${setup.bad.requests.length}/${setup.well.requests.length}`,
    );
    setup.bad.behaviour = reset();
    for (let i = 0; i < 20; i += 1) assert.equal((await setup.ask()).status, 200);
    const asked = setup.bad.requests.length;
    assert.equal((await setup.ask()).status, 200);
    assert.equal(setup.bad.requests.length, asked);
  });

  it('the one with fewer tokens outstanding is asked', async () => {
    await using setup = await start({ timeouts: { ...timeouts, firstByte: 5_000 } }, ['spare']);
    const gate = Promise.withResolvers<void>();
    const held: Behaviour = async (exchange) => {
      await gate.promise;
      await good('held')(exchange);
    };
    setup.bad.behaviour = held;
    setup.well.behaviour = held;
    const large = post(setup.harness, CHAT, chatBody({ max_tokens: 100_000 }));
    await eventually('one has it', () => setup.bad.requests.length + setup.well.requests.length === 1);
    const [busy, free] = setup.bad.requests.length === 1 ? [setup.bad, setup.well] : [setup.well, setup.bad];
    free.behaviour = good('free');
    for (let i = 0; i < 10; i += 1) assert.match((await setup.ask()).text, /free/);
    assert.equal(busy.requests.length, 1);
    gate.resolve();
    assert.equal((await large).status, 200);
  });
});

describe('the safe answer', () => {
  for (const dialect of DIALECTS) {
    for (const stream of [false, true]) {
      it(`stands in for the model: ${dialect.name}${stream ? ', streamed' : ''}`, async () => {
        await using setup = await start({ kind: dialect.path.startsWith('/api') ? 'ollama' : 'vllm' });
        setup.bad.behaviour = reset();
        const body = JSON.stringify({ ...JSON.parse(dialect.body(stream)), model: 'safe' });
        const answer = await post(setup.harness, dialect.path, body);
        const text = await answer.text();
        assert.deepEqual([answer.status, answer.headers.get('x-sallyport-fallback')], [200, 'answer']);
        assert.match(text, /being looked after/);
        if (stream) assert.ok(text.includes(dialect.endMarker));
        const entry = setup.harness.entries.at(-1);
        assert.deepEqual([entry?.outcome, entry?.detail['fallback'], entry?.model?.upstream], ['answered', 'answer', null]);
      });
    }
  }

  it('does not stand in for what the request itself is refused for', async () => {
    await using setup = await start();
    setup.bad.behaviour = ({ response }) => void response.writeHead(400).end();
    assert.equal((await setup.ask('safe')).status, 400);
  });
});
