import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CounterDesk, type CounterQuestion, MemoryStore, RelayStore } from '@sallyport/access';
import { systemClock } from '@sallyport/core';
import { answerJson, chatReply, eventually, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';

describe('counters that answer late', () => {
  it('are not waited for by a client that has left, who keeps nothing of what they gave', async () => {
    const desk = new CounterDesk(new MemoryStore(systemClock), (_worker, answers) => relay.receive(answers));
    const held: CounterQuestion[] = [];
    let holds = true;
    const relay = new RelayStore(
      (questions) => {
        if (holds) held.push(...questions);
        else desk.serve(1, questions);
      },
      systemClock,
      60_000,
    );
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    const limits = [
      { name: 'one', per: 'key' as const, quantity: 'concurrency' as const, amount: 1, window: 0, models: null },
      { name: 'tokens', per: 'key' as const, quantity: 'tokens' as const, amount: 10_000, window: 60_000, models: null },
    ];
    await using harness = await startHarness({
      upstreams: [upstream(engine.url)],
      routes: [route('chat')],
      snapshot: { limits },
      options: { counters: relay },
    });
    const client = await RawConnection.open({ port: harness.port });
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${harness.key}`],
    ];
    await client.send(requestBytes({ target: CHAT, headers, body: chatBody() }));
    await eventually('the limits are asked', () => held.length > 0);
    client.reset();
    // Its exchange has ended, with nobody's answer.
    await eventually('the ledger has its end', () => harness.entries.length > 0);
    assert.deepEqual([harness.entries[0]?.outcome, harness.entries[0]?.fault], ['abandoned', 'client_closed_request']);
    holds = false;
    desk.serve(1, held.splice(0));
    await eventually('what they gave is given back', () => desk.open === 0);
    assert.equal(engine.requests.length, 0);
    const next = await post(harness, CHAT, chatBody());
    assert.equal(next.status, 200, await next.text());
    // Only its own tokens count.
    assert.ok(
      Number(next.headers.get('x-ratelimit-remaining-tokens')) > 10_000 - 1_200,
      String(next.headers.get('x-ratelimit-remaining-tokens')),
    );
  });
});
