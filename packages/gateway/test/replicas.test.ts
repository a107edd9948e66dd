import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { openReplicaChannel } from '@sallyport/access';
import { silentLogger, systemClock } from '@sallyport/core';
import { answerJson, chatReply, eventually, redisMissing, ScriptedUpstream, startRedis } from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, pepper, post, RISK, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const missing = await redisMissing();
const guard = {
  ...GUARD,
  deny: [{ name: 'attack', pattern: 'ATTACK', ignoreCase: false, stages: ['input'] as const, action: 'block' as const }],
};
const attack = chatBody({ messages: [{ role: 'user', content: 'ATTACK' }] });

describe('two gateways and a Redis', { skip: missing ?? false }, () => {
  it('share who is kept out and which server fails, and an operator lifts it on both', async () => {
    await using redis = await startRedis({ durable: false });
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    await using stack = new AsyncDisposableStack();
    const principal = 'app:shared';
    const start = async (): Promise<Harness & { ask(body?: string): Promise<number> }> => {
      let hear: Harness['gateway']['hear'] = () => undefined;
      const channel = stack.use(
        await openReplicaChannel({
          counters: { url: redis.url, password: null },
          pepper,
          clock: systemClock,
          random: { bytes: (length) => randomBytes(length) },
          logger: silentLogger,
          onMessage: (message, age) => hear(message, age),
        }),
      );
      const harness = stack.use(
        await startHarness({
          upstreams: [upstream(engine.url, { breaker: { failures: 3, open: 60_000, maxOpen: 60_000 } })],
          routes: [route('chat')],
          snapshot: { guard, risk: { ...RISK, enabled: true, throttleAt: 68, challengeAt: 69, blockAt: 70 } },
          options: { relay: channel },
        }),
      );
      hear = (message, age) => harness.gateway.hear(message, age);
      const authorization = `Bearer ${harness.addKey({ principal })}`;
      const ask = async (body = chatBody()): Promise<number> => {
        const answer = await post(harness, CHAT, body, { authorization });
        await answer.arrayBuffer();
        return answer.status;
      };
      return Object.assign(harness, { ask });
    };
    const [one, two] = [await start(), await start()];
    for (let i = 0; i < 4; i += 1) await one.ask(attack);
    assert.equal(await one.ask(), 403);
    // Not by asking: requests that end well would speak for it.
    const isOut = ({ gateway }: Harness): boolean => gateway.risk.show(`principal:acme/${principal}`)?.level === 'block';
    await eventually('the other hears', () => isOut(two));
    assert.equal(await two.ask(), 403);
    // A replica that starts now keeps it out too.
    const three = await start();
    await eventually('so does one that is new', () => isOut(three));
    assert.equal(await three.ask(), 403);
    for (const { subject } of two.gateway.risk.list()) await two.gateway.risk.reset(subject, 'acme/owner');
    await eventually('it is lifted everywhere', async () => (await one.ask()) === 200 && (await three.ask()) === 200);

    // The breaker of one opens for everybody; the others need one failure of their own to believe it.
    const others = Array.from({ length: 3 }, (_, i) => ({ authorization: `Bearer ${one.addKey({ principal: `app:${i}` })}` }));
    engine.behaviour = ({ response }) => void response.writeHead(500).end();
    for (const headers of others) await (await post(one, CHAT, chatBody(), headers)).arrayBuffer();
    const opened = ({ log }: Harness): number =>
      log.filter(({ event, fields }) => event === 'upstream.breaker' && fields['state'] === 'open').length;
    assert.equal(opened(one), 1);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(opened(two), 0, 'it is not believed outright');
    assert.equal(await two.ask(), 502);
    assert.equal(opened(two), 1);
    // What the server itself says is believed: it takes nothing for a while.
    engine.behaviour = answerJson(chatReply('Hi', 'chat'));
    const four = await start();
    assert.equal(await four.ask(), 200);
    const asked = engine.requests.length;
    four.gateway.hear({ kind: 'breaker', upstream: 'engine', model: 'chat', news: 'busy', milliseconds: 30_000, reason: 'status 429' });
    assert.equal(await four.ask(), 503);
    assert.equal(engine.requests.length, asked);
    // Old news, and what is not known here, change nothing.
    const five = await start();
    five.gateway.hear(
      { kind: 'breaker', upstream: 'engine', model: 'chat', news: 'busy', milliseconds: 30_000, reason: 'status 429' },
      60_000,
    );
    five.gateway.hear({ kind: 'breaker', upstream: 'gone', model: 'chat', news: 'busy', milliseconds: 30_000, reason: 'status 429' });
    assert.equal(await five.ask(), 200);
  });
});
