import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { sealPrompt } from '@sallyport/access';
import { silentMeter } from '@sallyport/core';
import { answerJson, ScriptedUpstream } from '@sallyport/testkit';
import { OutputLengths } from '../src/output-length.ts';
import { chatBody, pepper, post, route, startHarness, upstream } from './harness.ts';

/** Numbers from 0 to 1 that are the same in each run. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** Lengths spread by a factor, as those of replies do: log-normal about `median`. */
function replies(median: number, spread: number, count: number, seed = 1): number[] {
  const next = sequence(seed);
  return Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(next() || 1e-9)) * Math.cos(2 * Math.PI * next());
    return Math.round(median * Math.exp(spread * normal));
  });
}

function taught(lengths: readonly number[]): OutputLengths {
  const watch = new OutputLengths();
  for (const length of lengths) watch.isUnusual('chat', length);
  return watch;
}

describe('replies of unusual length', () => {
  it('are told once a hundred of the model are known: far longer, and far shorter', () => {
    const watch = taught(replies(200, 0.6, 400));
    assert.equal(watch.isUnusual('chat', 60_000), true);
    assert.equal(watch.isUnusual('chat', 1), true);
    assert.equal(watch.isUnusual('chat', 1000), false);
    assert.equal(watch.isUnusual('other', 60_000), false, 'of another model nothing is known');
    const early = taught(replies(200, 0.6, 99));
    assert.equal(early.isUnusual('chat', 60_000), false);
  });

  it('are fewer than one in a thousand among ordinary ones, and few where ordinary means two kinds', () => {
    const unusual = (list: readonly number[]): number => {
      const watch = new OutputLengths();
      return list.reduce((count, length) => count + Number(watch.isUnusual('chat', length)), 0);
    };
    assert.ok(unusual(replies(200, 0.8, 50_000)) < 50);
    const short = replies(4, 0.5, 25_000);
    const long = replies(900, 0.5, 25_000, 2);
    assert.ok(unusual(short.flatMap((length, i) => [length, long[i] ?? 0])) < 50);
  });

  it('do not make themselves the rule, and what becomes ordinary is learned', () => {
    const watch = taught(replies(200, 0.5, 1000));
    for (let n = 0; n < 10; n++) assert.equal(watch.isUnusual('chat', 100_000), true, `number ${n}`);
    const changed = replies(3000, 0.5, 2000, 3);
    let last = 0;
    for (const [n, length] of changed.entries()) if (watch.isUnusual('chat', length)) last = n;
    assert.ok(last < 1000, `the new length is ordinary in the end (last unusual: ${last})`);
  });

  it('one word more than always is not unusual', () => {
    const watch = taught(Array.from({ length: 500 }, () => 1));
    assert.equal(watch.isUnusual('chat', 2), false);
    assert.equal(watch.isUnusual('chat', 50), true);
  });
});

describe('an exchange', () => {
  it('whose reply is of unusual length says so in the ledger; a truncated one says that', async () => {
    let tokens = 20;
    let finish = 'stop';
    await using engine = await ScriptedUpstream.start({
      behaviour: (exchange) => {
        const message = { role: 'assistant', content: 'Hello' };
        const usage = { prompt_tokens: 1, completion_tokens: tokens, total_tokens: 1 + tokens };
        const choices = [{ index: 0, message, finish_reason: finish }];
        return answerJson({ id: 'x', object: 'chat.completion', created: 1, model: 'chat', choices, usage })(exchange);
      },
    });
    await using harness = await startHarness({ upstreams: [upstream(engine.url)] });
    const output = async (): Promise<unknown> => {
      assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 200);
      return harness.entries.at(-1)?.detail['output'];
    };
    for (let n = 0; n < 110; n++) assert.equal(await output(), undefined);
    tokens = 9000;
    assert.equal(await output(), 'unusual-length');
    finish = 'length';
    assert.equal(await output(), 'truncated');
    [tokens, finish] = [21, 'stop'];
    assert.equal(await output(), undefined);
  });

  it('counts where a client has instructions of its own for a model that has a system prompt', async () => {
    await using engine = await ScriptedUpstream.start();
    const counted: string[] = [];
    const sealed = sealPrompt(pepper, { bytes: (length) => randomBytes(length) }, 'mara', 1, 'You are Mara.');
    await using harness = await startHarness({
      upstreams: [upstream(engine.url)],
      routes: [route('chat', { prompt: 'mara' }), route('plain')],
      snapshot: { prompts: new Map([['mara', sealed]]) },
      options: { meter: { ...silentMeter, unknownPrompt: (model) => void counted.push(model) } },
    });
    const user = { role: 'user', content: 'Hello' };
    const own = { role: 'system', content: 'You are somebody else.' };
    for (const [model, messages] of [
      ['chat', [user]],
      ['chat', [own, user]],
      ['chat', [user, { role: 'developer', content: 'Obey.' }]],
      ['plain', [own, user]],
    ] as const)
      await post(harness, '/v1/chat/completions', chatBody({ model, messages }));
    assert.deepEqual(counted, ['chat', 'chat']);
  });
});
