import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuardSettings, KeyRecord, ReplyContract, RiskSettings } from '@sallyport/core';
import { answerJson, chatReply, chatStream, eventually, RawConnection, requestBytes, ScriptedUpstream, stream } from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, post, RISK, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const guard = {
  ...GUARD,
  deny: [
    { name: 'attack', pattern: 'ATTACK', ignoreCase: false, stages: ['input'] as const, action: 'block' as const },
    { name: 'odd', pattern: 'ODD', ignoreCase: false, stages: ['input'] as const, action: 'flag' as const },
  ],
};

async function start(change: Partial<RiskSettings> = {}): Promise<{ harness: Harness; engine: ScriptedUpstream } & AsyncDisposable> {
  const engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  const harness = await startHarness({
    upstreams: [upstream(engine.url)],
    snapshot: { guard, risk: { ...RISK, enabled: true, ...change } },
  });
  return {
    harness,
    engine,
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await engine.close();
    },
  };
}

const body = (content: string): string => chatBody({ messages: [{ role: 'user', content }] });
const steps = (harness: Harness): (readonly [string, string | null])[] =>
  harness.entries.filter(({ action }) => action.startsWith('risk.')).map(({ action, resource }) => [action, resource] as const);

/** Replies are to be JSON objects. */
const CONTRACT: ReplyContract = {
  schema: { type: 'object' },
  languages: [],
  minLength: 0,
  maxLength: null,
  repair: true,
  onBreach: 'refuse',
};

describe('a caller that keeps attacking', () => {
  it('is slowed, challenged, then kept out, with its streams, and every step is in the ledger; others are served', async () => {
    await using setup = await start({ throttleAt: 40, throttlePerMinute: 6_000, challengeAt: 1_000, blockAt: 95 });
    const { harness, engine } = setup;
    const attacker = harness.addKey({ principal: 'app:attacker' });
    const headers = { authorization: `Bearer ${attacker}` };
    const gate = Promise.withResolvers<void>();
    const events = chatStream(['one', 'two'], 'chat');
    engine.once(async ({ request, response, signal }) => {
      await request.body;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(Buffer.concat(events.slice(0, 2)));
      await gate.promise;
      if (!signal.aborted) response.end(Buffer.concat(events.slice(2)));
    });
    await using running = await RawConnection.open({ port: harness.port });
    const raw: [string, string][] = [
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${attacker}`],
    ];
    await running.send(requestBytes({ target: CHAT, headers: raw, body: chatBody({ stream: true }) }));
    await running.waitFor('one');
    let blocked = 0;
    for (let i = 0; i < 20 && blocked < 5; i += 1) {
      const answer = await post(harness, CHAT, body('ATTACK'), headers);
      await answer.text();
      if (answer.status === 400) blocked += 1;
      else assert.equal(answer.status, 429);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    assert.equal(blocked, 5);
    const out = await post(harness, CHAT, chatBody(), headers);
    assert.equal(out.status, 403);
    assert.ok(Number(out.headers.get('retry-after')) >= 1);
    assert.equal(JSON.parse(await out.text()).error.code, 'forbidden');
    await running.waitFor('because of others that were refused');
    gate.resolve();
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.deepEqual(
      steps(harness).filter(([, subject]) => subject?.startsWith('principal:')),
      [
        ['risk.throttle', 'principal:acme/app:attacker'],
        ['risk.block', 'principal:acme/app:attacker'],
      ],
    );
    const entry = harness.entries.find(({ action }) => action === 'risk.block');
    assert.equal(entry?.detail['blocked'], 5);
    // An operator sees why, and lifts it.
    const view = harness.gateway.risk.show('principal:acme/app:attacker');
    assert.deepEqual([view?.level, view?.signals[0]?.signal, view?.signals[0]?.count], ['block', 'blocked', 5]);
    for (const { subject } of harness.gateway.risk.list()) await harness.gateway.risk.reset(subject, 'acme/owner');
    assert.equal((await post(harness, CHAT, chatBody(), headers)).status, 200);
    const lifted = harness.entries.find(({ action }) => action === 'risk.reset');
    assert.equal(lifted?.detail['by'], 'acme/owner');
  });

  it('is not reset where the ledger cannot say so', async () => {
    await using setup = await start({ throttleAt: 10, challengeAt: 15, blockAt: 20 });
    const { harness } = setup;
    await (await post(harness, CHAT, body('ATTACK'))).text();
    const subject = harness.gateway.risk.list()[0]?.subject ?? assert.fail();
    harness.ledger.broken = true;
    await assert.rejects(harness.gateway.risk.reset(subject, 'acme/owner'));
    harness.ledger.broken = false;
    harness.ledger.unrecorded = true;
    await assert.rejects(harness.gateway.risk.reset(subject, 'acme/owner'), { code: 'not_ready' });
    harness.ledger.unrecorded = false;
    assert.equal((await post(harness, CHAT, chatBody())).status, 403);
  });

  it('has to bring a fresh credential: the key works again once it was rotated', async () => {
    await using setup = await start({ throttleAt: 1_000, challengeAt: 20, blockAt: 2_000 });
    const { harness } = setup;
    await (await post(harness, CHAT, body('ATTACK'))).text();
    const refused = await post(harness, CHAT, chatBody());
    assert.equal(refused.status, 401);
    assert.match(await refused.text(), /fresh credential/);
    const keys = new Map<string, KeyRecord>(
      [...harness.keys].map(([id, key]) => {
        const digests = [
          { hmac: 'a-new-secret-of-the-same-key', until: null },
          ...key.digests.map(({ hmac }) => ({ hmac, until: Date.now() + 60_000 })),
        ];
        return [id, { ...key, digests }];
      }),
    );
    harness.publish({ keys });
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
  });

  it('flagged texts, denials, models that do not exist and used-up limits count too, each by its points', async () => {
    await using setup = await start({ throttleAt: 1e6, challengeAt: 1e6, blockAt: 1e6 });
    const { harness } = setup;
    const narrow = { authorization: `Bearer ${harness.addKey({ principal: 'app:narrow', models: ['other'] })}` };
    await (await post(harness, CHAT, body('ODD'))).text();
    await (await post(harness, CHAT, chatBody({ model: 'gpt-9' }))).text();
    await (await post(harness, CHAT, chatBody(), narrow)).text();
    assert.deepEqual(
      harness.gateway.risk
        .list()
        .filter(({ subject }) => subject.startsWith('principal:'))
        .map(({ score, signals }) => [score, signals.map(({ signal }) => signal)]),
      [
        [12, ['flagged', 'enumeration']],
        [5, ['denied']],
      ],
    );
  });

  it('who sends much that is well is not judged by the little that is not', async () => {
    await using setup = await start({ throttleAt: 30, challengeAt: 40, blockAt: 50 });
    const { harness } = setup;
    const statuses = new Set<number>();
    for (let i = 0; i < 4; i += 1) {
      statuses.add((await post(harness, CHAT, body('ATTACK'))).status);
      for (let j = 0; j < 100; j += 1) statuses.add((await post(harness, CHAT, chatBody())).status);
    }
    assert.deepEqual([...statuses].sort(), [200, 400]);
    const [id] = harness.keys.keys();
    assert.ok((harness.gateway.risk.show(`principal:acme/app:${id}`)?.score ?? 0) < 1);
  });

  it('a hostile document is blocked, and its reader is not kept out for it', async () => {
    await using setup = await start({ throttleAt: 60, challengeAt: 120, blockAt: 200 });
    const { harness } = setup;
    const call = { id: 'c1', type: 'function', function: { name: 'fetch', arguments: '{}' } };
    const read = chatBody({
      messages: [
        { role: 'user', content: 'Read it' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: 'ATTACK' },
      ],
    });
    for (let i = 0; i < 12; i += 1) {
      const answer = await post(harness, CHAT, read);
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /content policy/);
    }
    assert.deepEqual(
      harness.gateway.risk.list().map(({ score, level, signals }) => [Math.round(score), level, signals.map(({ signal }) => signal)]),
      [
        [24, 'none', ['flagged']],
        [24, 'none', ['flagged']],
      ],
    );
  });

  it('what a server says of a model or a request is not held against who asked', async () => {
    await using setup = await start({ throttleAt: 1e6, challengeAt: 1e6, blockAt: 1e6 });
    const { harness, engine } = setup;
    for (const status of [404, 400]) {
      engine.once(answerJson({ error: { message: 'no' } }, status));
      assert.equal((await post(harness, CHAT, chatBody())).status, status);
    }
    assert.deepEqual(harness.gateway.risk.list(), []);
  });

  it('a reply that is not what it has to be is not held against who asked, however often', async () => {
    await using setup = await start({ throttleAt: 1, challengeAt: 1e6, blockAt: 1e6 });
    const { harness, engine } = setup;
    for (const onBreach of ['refuse', 'flag'] as const) {
      harness.publish({ guard: { ...guard, mode: 'hold', contract: { ...CONTRACT, onBreach } } });
      for (let i = 0; i < 5; i += 1) {
        assert.equal((await post(harness, CHAT, chatBody())).status, onBreach === 'refuse' ? 400 : 200);
        engine.once(stream(chatStream(['No.'], 'chat'), { contentType: 'text/event-stream' }));
        assert.equal((await post(harness, CHAT, chatBody({ stream: true }))).status, onBreach === 'refuse' ? 400 : 200);
      }
    }
    assert.deepEqual(harness.gateway.risk.list(), []);
    await post(harness, CHAT, body('ATTACK'));
    assert.notDeepEqual(harness.gateway.risk.list(), []);
  });

  it('what is blocked beside a choice that breaks its contract counts, whichever of the two comes last', async () => {
    for (const texts of [
      ['{"a":"SECRETWORD"}', 'No.'],
      ['No.', '{"a":"SECRETWORD"}'],
    ]) {
      await using setup = await start({ throttleAt: 1e6, challengeAt: 1e6, blockAt: 1e6 });
      const { harness, engine } = setup;
      const deny: GuardSettings['deny'] = [{ name: 'word', pattern: 'SECRETWORD', ignoreCase: false, action: 'block', stages: ['output'] }];
      harness.publish({ guard: { ...guard, mode: 'hold', deny, contract: CONTRACT } });
      const choices = texts.map((content, index) => ({ index, message: { role: 'assistant', content }, finish_reason: 'stop' }));
      engine.once(answerJson({ id: 'c', object: 'chat.completion', created: 1, model: 'chat', choices }));
      assert.equal((await post(harness, CHAT, chatBody({ n: 2 }))).status, 400);
      assert.notDeepEqual(harness.gateway.risk.list(), [], texts.join());
    }
  });

  it('an address that guesses keys is held back, and callers with a good key at the same address are not', async () => {
    await using setup = await start({
      throttleAt: 20,
      challengeAt: 30,
      blockAt: 40,
      points: { ...RISK.points, authentication: 10 },
      throttlePerMinute: 1,
    });
    const { harness } = setup;
    // Of 62 keys one ends like any given guess does.
    const wrong = harness.key.slice(0, -1) + (harness.key.endsWith('x') ? 'y' : 'x');
    const guess = async (): Promise<number> => {
      const answer = await post(harness, CHAT, chatBody(), { authorization: `Bearer ${wrong}` });
      await answer.text();
      return answer.status;
    };
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1) statuses.push(await guess());
    assert.deepEqual([...new Set(statuses)].sort(), [401, 429]);
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    // A missing credential is a mistake.
    const before = harness.gateway.risk.show('address:127.0.0.1')?.score ?? 0;
    await (
      await fetch(`${harness.url}${CHAT}`, { method: 'POST', body: chatBody(), headers: { 'content-type': 'application/json' } })
    ).text();
    assert.ok((harness.gateway.risk.show('address:127.0.0.1')?.score ?? 0) <= before);
    assert.deepEqual(steps(harness)[0], ['risk.throttle', 'address:127.0.0.1']);
    harness.publish({ risk: { ...RISK, enabled: true, exempt: ['127.0.0.0/8'] } });
    await eventually('it can be lifted', async () => (await harness.gateway.risk.reset('address:127.0.0.1', 'acme/owner')) !== null);
    for (let i = 0; i < 30; i += 1) assert.equal(await guess(), 401);
    assert.equal(harness.gateway.risk.show('address:127.0.0.1'), null);
  });

  it('signals of other replicas count here', async () => {
    await using setup = await start({ throttleAt: 40, challengeAt: 60, blockAt: 100 });
    const { harness } = setup;
    const [id] = harness.keys.keys();
    harness.gateway.hear({ kind: 'signal', subject: `principal:acme/app:${id}`, signal: 'blocked', times: 5 });
    assert.equal((await post(harness, CHAT, chatBody())).status, 403);
    harness.gateway.hear({ kind: 'reset', subject: `principal:acme/app:${id}` });
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
  });
});
