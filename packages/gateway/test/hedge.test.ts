import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { effectiveRoles, Limiter, MemoryStore } from '@sallyport/access';
import {
  type Action,
  type Credential,
  type LimitRule,
  type Meter,
  type Principal,
  type Route,
  silentMeter,
  systemClock,
  type Upstream,
} from '@sallyport/core';
import {
  answerJson,
  type Behaviour,
  chatReply,
  chatStream,
  closeEarly,
  eventually,
  hangAfterHeaders,
  hangBeforeHeaders,
  reset,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { FirstBytes } from '../src/upstream/first-bytes.ts';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const timeouts = { connect: 500, firstByte: 5_000, idle: 5_000, total: 10_000 };
const good = (text: string): Behaviour => answerJson(chatReply(text, 'chat'));

interface Setup extends AsyncDisposable {
  readonly harness: Harness;
  readonly hedges: readonly string[];
  /** How many requests arrived, and how many of them ended before their answer did. */
  readonly seen: { arrived: number; broken: number };
  /** What the next requests meet, whichever server they go to; those after them are answered `well`. */
  meets(...behaviours: Behaviour[]): void;
  ask(change?: Record<string, unknown>): Promise<{ status: number; text: string }>;
  /** What counts under each rule, for calls to each of the two servers. */
  counted(): Promise<number[][]>;
}

interface Change {
  /** Default: true. */
  readonly isHedged?: boolean;
  readonly route?: Partial<Route>;
  readonly upstream?: Partial<Upstream>;
  readonly limits?: readonly LimitRule[];
}

async function start(change: Change = {}): Promise<Setup> {
  const queue: Behaviour[] = [];
  const seen = { arrived: 0, broken: 0 };
  const behaviour: Behaviour = (exchange) => {
    seen.arrived += 1;
    exchange.response.once('close', () => {
      if (!exchange.response.writableFinished) seen.broken += 1;
    });
    return (queue.shift() ?? good('well'))(exchange);
  };
  const servers = [await ScriptedUpstream.start({ behaviour }), await ScriptedUpstream.start({ behaviour })] as const;
  const hedges: string[] = [];
  const meter: Meter = { ...silentMeter, hedged: (model, answered) => void hedges.push(`${model}:${answered}`) };
  const counters = new MemoryStore(systemClock);
  const limits = change.limits ?? [];
  const harness = await startHarness({
    upstreams: servers.map(({ url }, at) => upstream(url, { name: at === 0 ? 'engine' : 'spare', timeouts, ...change.upstream })),
    routes: [route('chat', { replicas: ['spare'], ...(change.isHedged === false ? {} : { hedgeAfter: 60 }), ...change.route })],
    snapshot: { limits },
    options: { meter, counters },
  });
  const limiter = new Limiter(counters);
  const credential: Credential = { kind: 'local', id: 'app', expiresAt: null };
  const principal: Principal = { id: 'app', kind: 'application', tenant: 'acme', user: null, team: null, roles: [], credential };
  return {
    harness,
    hedges,
    seen,
    meets: (...behaviours) => void queue.push(...behaviours),
    ask: async (body = {}) => {
      const answer = await post(harness, CHAT, chatBody(body));
      return { status: answer.status, text: await answer.text() };
    },
    counted: async () =>
      await Promise.all(
        ['engine', 'spare'].map(async (name) => {
          const subject = { principal, model: 'chat', upstream: name, address: '127.0.0.1', session: null, price: null };
          return (await limiter.standings({ rules: limits, keyRules: () => [] }, subject)).map(({ used }) => used);
        }),
      ),
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      for (const server of servers) await server.close();
    },
  };
}

function rule(per: LimitRule['per'], quantity: LimitRule['quantity'], amount: number = 100_000): LimitRule {
  return { name: `${quantity}/${per}`, per, quantity, amount, window: quantity === 'concurrency' ? 0 : 600_000, models: null };
}

describe('hedging', () => {
  it('a second replica answers for one that is late, whose call is ended at once', async () => {
    await using setup = await start();
    setup.meets(hangBeforeHeaders(), good('second'));
    const answer = await setup.ask();
    assert.deepEqual([answer.status, JSON.parse(answer.text).choices[0].message.content], [200, 'second']);
    await eventually('the first call was ended', () => setup.seen.broken === 1, 1_000);
    const { detail, model, outcome } = setup.harness.entries.at(-1) ?? assert.fail();
    assert.deepEqual([outcome, detail['hedge'], detail['attempts'], setup.hedges], ['answered', 'second', 2, ['chat:second']]);
    assert.deepEqual([model?.upstream, detail['hedgeUpstream']].sort(), ['engine', 'spare']);
  });

  it('the first is heard where it is sooner after all, and the second ended', async () => {
    await using setup = await start();
    const gate = Promise.withResolvers<void>();
    setup.meets(
      async (exchange) => {
        await gate.promise;
        await good('first')(exchange);
      },
      (exchange) => {
        gate.resolve();
        return hangBeforeHeaders()(exchange);
      },
    );
    assert.match((await setup.ask()).text, /first/);
    await eventually('the second call was ended', () => setup.seen.broken === 1, 1_000);
    assert.deepEqual([setup.harness.entries.at(-1)?.detail['hedge'], setup.hedges], ['first', ['chat:first']]);
  });

  it('a stream begins with its first word: a head alone wins nothing, and the client gets one stream whole', async () => {
    await using setup = await start();
    const events = chatStream(['one', 'two'], 'chat');
    setup.meets(hangAfterHeaders({ 'content-type': 'text/event-stream' }), stream(events, { delayMs: 5 }));
    const answer = await setup.ask({ stream: true });
    assert.ok(answer.text.includes('one') && answer.text.includes('two') && answer.text.trimEnd().endsWith('data: [DONE]'), answer.text);
    assert.equal(setup.harness.entries.at(-1)?.detail['hedge'], 'second');
  });

  it('is never done where it is not asked for, where all are in time, or where it is not safe', async () => {
    {
      await using off = await start({
        isHedged: false,
        upstream: { timeouts: { ...timeouts, firstByte: 200 } },
      });
      off.meets(hangBeforeHeaders(), hangBeforeHeaders());
      assert.equal((await off.ask()).status, 504);
      assert.deepEqual([off.hedges, off.harness.entries.at(-1)?.detail['hedge']], [[], undefined]);
    }
    await using setup = await start({ upstream: { timeouts: { ...timeouts, firstByte: 200 } } });
    assert.equal((await setup.ask()).status, 200);
    // The server would keep the conversation.
    const storing = { authorization: `Bearer ${setup.harness.addKey({ roles: ['storing'] })}` };
    const actions: Action[] = ['model.infer', 'feature.stored-state'];
    setup.harness.publish({ roles: effectiveRoles([{ name: 'storing', builtIn: false, actions, models: null }]) });
    setup.meets(hangBeforeHeaders(), good('the next'));
    const stored = await post(setup.harness, CHAT, chatBody({ store: true }), storing);
    assert.deepEqual([stored.status, (await stored.text()).includes('the next'), setup.seen.arrived], [200, true, 3]);
    assert.deepEqual(setup.hedges, []);
  });

  it('both fail: the client is told what the first said; the server that would have been next is not asked twice', async () => {
    await using setup = await start();
    setup.meets(
      async (exchange) => {
        await eventually('the second was asked', () => setup.seen.arrived === 2);
        await answerJson({}, 503, { 'retry-after': '7' })(exchange);
      },
      answerJson({}, 500),
    );
    const answer = await setup.ask();
    assert.deepEqual([answer.status, setup.seen.arrived, setup.hedges], [503, 2, ['chat:none']]);
    assert.equal(setup.harness.entries.at(-1)?.detail['hedge'], 'none');
  });

  for (const [name, failure] of [
    ['answers 500', answerJson({}, 500)],
    ['does not have the model', answerJson({}, 404)],
    ['resets', reset()],
    ['closes', closeEarly()],
  ] as const) {
    it(`the second ${name}: the first is waited for`, async () => {
      await using setup = await start();
      setup.meets(async (exchange) => {
        await eventually('the second was asked', () => setup.seen.arrived === 2);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await good('first')(exchange);
      }, failure);
      assert.match((await setup.ask()).text, /first/);
      assert.deepEqual(setup.hedges, ['chat:first']);
    });
  }

  it('the first breaks off while both are asked: the second is waited for', async () => {
    await using setup = await start();
    const gone = Promise.withResolvers<void>();
    setup.meets(
      async (exchange) => {
        await eventually('the second was asked', () => setup.seen.arrived === 2);
        await reset()(exchange);
        gone.resolve();
      },
      async (exchange) => {
        await gone.promise;
        await new Promise((resolve) => setTimeout(resolve, 50));
        await good('second')(exchange);
      },
    );
    assert.match((await setup.ask()).text, /second/);
    assert.deepEqual(setup.hedges, ['chat:second']);
  });

  it('a client that leaves frees both', async () => {
    const limits = [rule('global', 'concurrency'), rule('upstream', 'concurrency')];
    await using setup = await start({ upstream: { maxConcurrency: 1 }, limits });
    setup.meets(hangBeforeHeaders(), hangBeforeHeaders());
    const leaving = new AbortController();
    const left = fetch(`${setup.harness.url}${CHAT}`, {
      method: 'POST',
      body: chatBody(),
      headers: { authorization: `Bearer ${setup.harness.key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    await eventually('both are asked', () => setup.seen.arrived === 2);
    assert.deepEqual(await setup.counted(), [
      [1, 1],
      [1, 1],
    ]);
    leaving.abort();
    await assert.rejects(left);
    await eventually('both calls were ended', () => setup.seen.broken === 2, 1_000);
    await eventually('nothing is held', async () => (await setup.counted()).flat().every((used) => used === 0), 1_000);
    assert.equal((await setup.ask()).status, 200);
    assert.equal((await setup.ask()).status, 200);
  });

  it('takes no place in line: where the other has no slot free the first is waited for', async () => {
    await using setup = await start({ upstream: { maxConcurrency: 1 } });
    const gate = Promise.withResolvers<void>();
    const slow: Behaviour = async (exchange) => {
      await gate.promise;
      await good('late')(exchange);
    };
    setup.meets(slow, slow);
    const both = [setup.ask(), setup.ask()];
    await eventually('both servers are busy', () => setup.seen.arrived === 2);
    await new Promise((resolve) => setTimeout(resolve, 150));
    gate.resolve();
    for (const { status } of await Promise.all(both)) assert.equal(status, 200);
    assert.deepEqual([setup.hedges, setup.seen.arrived], [[], 2]);
  });

  it('asks none whose breaker is open', async () => {
    await using setup = await start({ upstream: { breaker: { failures: 2, open: 60_000, maxOpen: 60_000 } } });
    // What it says of itself holds at once.
    setup.meets(answerJson({}, 503, { 'retry-after': '60' }));
    assert.equal((await setup.ask()).status, 200);
    const { arrived } = setup.seen;
    setup.meets(async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await good('late')(exchange);
    });
    assert.match((await setup.ask()).text, /late/);
    assert.deepEqual([setup.hedges, setup.seen.arrived - arrived], [[], 1]);
  });

  it('stays within the retry budget', async () => {
    await using setup = await start({ route: { hedgeAfter: 10 } });
    const late: Behaviour = async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      await good('late')(exchange);
    };
    for (let i = 0; i < 40; i += 1) {
      setup.meets(late, late);
      await setup.ask();
    }
    // Ten in hand at each, and a fifth of the calls.
    assert.ok(setup.hedges.length >= 20 && setup.hedges.length <= 20 + 40 / 5 + 1, String(setup.hedges.length));
  });

  it('the input counts twice, the reply once, and each server by its own rules', async () => {
    const limits = [
      rule('global', 'input-tokens'),
      rule('global', 'output-tokens'),
      rule('global', 'requests'),
      rule('upstream', 'tokens'),
      rule('upstream', 'requests'),
    ];
    const answered: Behaviour = answerJson({
      ...chatReply('second', 'chat'),
      usage: { prompt_tokens: 30, completion_tokens: 9, total_tokens: 39 },
    });
    await using setup = await start({ limits });
    setup.meets(hangBeforeHeaders(), answered);
    assert.equal((await setup.ask({ max_tokens: 500 })).status, 200);
    const { upstream: winner } = setup.harness.entries.at(-1)?.model ?? assert.fail();
    const counted = await setup.counted();
    const [of, other] = winner === 'engine' ? counted : [...counted].reverse();
    const estimate = other?.[3] ?? 0;
    assert.ok(estimate > 5 && estimate < 100, String(estimate));
    assert.deepEqual(of, [30 + estimate, 9, 1, 39, 1]);
    assert.deepEqual(other, [30 + estimate, 9, 1, estimate, 1]);

    await using same = await start({ limits });
    const gate = Promise.withResolvers<void>();
    same.meets(
      async (exchange) => {
        await gate.promise;
        await answered(exchange);
      },
      (exchange) => {
        gate.resolve();
        return hangBeforeHeaders()(exchange);
      },
    );
    assert.equal((await same.ask({ max_tokens: 500 })).status, 200);
    assert.deepEqual(
      (await same.counted()).map(([input, output, asked]) => [input, output, asked]),
      [
        [30 + estimate, 9, 1],
        [30 + estimate, 9, 1],
      ],
    );
    assert.deepEqual(
      (await same.counted()).map(([, , , tokens]) => tokens).sort((a = 0, b = 0) => a - b),
      [estimate, 39],
    );
  });

  it('a limit without room for the input once more leaves it undone', async () => {
    const limits = [rule('global', 'input-tokens', 60)];
    await using setup = await start({ limits });
    setup.meets(async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await good('late')(exchange);
    });
    const answer = await setup.ask({ messages: [{ role: 'user', content: 'x'.repeat(90) }] });
    assert.match(answer.text, /late/);
    assert.deepEqual([setup.hedges, setup.seen.arrived], [[], 1]);
  });

  it('of two tenants at once: each is asked for at its own servers, with their credentials, under its own limits', async () => {
    const gate = Promise.withResolvers<void>();
    const asked: { server: string; model: string; authorization: string | undefined }[] = [];
    const at =
      (server: string): Behaviour =>
      async (exchange) => {
        const { model } = JSON.parse((await exchange.request.body).toString());
        const isFirst = asked.every((one) => one.model !== model);
        asked.push({ server, model, authorization: exchange.request.headers.authorization });
        // Whoever is asked first for a model keeps it waiting.
        if (isFirst) await gate.promise;
        await good(model)(exchange);
      };
    await using stack = new AsyncDisposableStack();
    const upstreams: Upstream[] = [];
    for (const name of ['engine', 'spare', 'theirs', 'their-spare']) {
      const { url } = stack.use(await ScriptedUpstream.start({ behaviour: at(name) }));
      upstreams.push(upstream(url, { name, timeouts, credential: name }));
    }
    // Room for the input of one of them once more, not of the other.
    const limits = [rule('tenant', 'input-tokens', 150), rule('tenant', 'requests')];
    await using harness = await startHarness({
      upstreams,
      routes: [
        route('chat', { replicas: ['spare'], hedgeAfter: 60 }),
        route('other', { upstream: 'theirs', replicas: ['their-spare'], hedgeAfter: 60 }),
      ],
      snapshot: { limits },
      options: { resolveSecret: (name) => `secret-of-${name}` },
    });
    const theirs = { authorization: `Bearer ${harness.addKey({ tenant: 'other' })}` };
    const long = chatBody({ model: 'other', messages: [{ role: 'user', content: 'x'.repeat(280) }] });
    const late = post(harness, CHAT, long, theirs);
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    gate.resolve();
    assert.equal((await late).status, 200);
    const [mine, other] = ['acme', 'other'].map((tenant) => harness.entries.find(({ principal }) => principal?.tenant === tenant));
    assert.deepEqual([mine?.detail['hedge'], other?.detail['hedge']], ['second', undefined]);
    assert.deepEqual(
      asked
        .filter(({ model }) => model === 'chat')
        .map(({ server }) => server)
        .sort(),
      ['engine', 'spare'],
    );
    assert.deepEqual(
      asked.filter(({ model }) => model === 'other').map(({ server }) => server.startsWith('their')),
      [true],
    );
    for (const { server, authorization } of asked) assert.equal(authorization, `Bearer secret-of-${server}`);
    // The other has the room that it had: nothing was counted for it.
    assert.equal((await post(harness, CHAT, chatBody({ model: 'other' }), theirs)).status, 200);
  });

  it('p95: what is late is learned from the answers', async () => {
    await using setup = await start({ route: { hedgeAfter: 'p95' } });
    setup.meets(async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await good('nothing is known yet')(exchange);
    });
    for (let i = 0; i < 20; i += 1) assert.equal((await setup.ask()).status, 200);
    assert.deepEqual(setup.hedges, []);
    setup.meets(hangBeforeHeaders(), good('second'));
    assert.match((await setup.ask()).text, /second/);
    assert.deepEqual(setup.hedges, ['chat:second']);
  });
});

describe('the time to the first byte', () => {
  it('is unknown until 20 were seen, then rests where one in twenty is later', () => {
    const times = new FirstBytes();
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let i = 0; i < 19; i += 1) times.observe('a', 100);
    assert.equal(times.p95('a'), Number.POSITIVE_INFINITY);
    let later = 0;
    for (let i = 0; i < 20_000; i += 1) {
      const time = 10 + 990 * random();
      if (i > 1_000 && time > times.p95('a')) later += 1;
      // What is later than it is broken off then: how late it would have been is never known.
      times.observe('a', Math.min(time, times.p95('a') + 1));
    }
    assert.ok(later / 19_000 > 0.04 && later / 19_000 < 0.06, String(later / 19_000));
    assert.equal(times.p95('b'), Number.POSITIVE_INFINITY);
  });
});
