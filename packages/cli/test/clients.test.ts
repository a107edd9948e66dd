import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Engine, engineMissing, startEngine } from '@sallyport/testkit';
import {
  anthropicCountTokens,
  CLIENT_CALLS,
  type ClientTarget,
  failureOf,
  ollamaEmbed,
  ollamaModels,
  ollamaShow,
  openaiEmbeddings,
  openaiModels,
} from '@sallyport/testkit/clients';
import { type Serving, startServing, until } from './serving.ts';

const missing = await engineMissing();

// A real engine (llama.cpp) behind the gateway, the real clients in front of it: what they get through the gateway is what they get without.
describe('real clients and a real engine', { skip: missing ?? false }, () => {
  let engine: Engine;
  let serving: Serving;
  let direct: ClientTarget;
  let guarded: ClientTarget;
  before(async () => {
    engine = await startEngine();
    const upstream = (name: string, kind: string): string => `  - { name: ${name}, kind: ${kind}, url: "${engine.url}" }\n`;
    const model = (name: string, on: string, target: string): string => `  - { name: ${name}, upstream: ${on}, target: ${target} }\n`;
    serving = await startServing(
      `upstreams:\n${upstream('openai-side', 'llamacpp')}${upstream('ollama-side', 'ollama')}models:\n${model('tiny', 'ollama-side', 'tiny')}${model('tiny-slow', 'ollama-side', 'tiny-slow')}${model('tiny-hang', 'ollama-side', 'tiny-hang')}`,
    );
    direct = { baseUrl: engine.url, key: 'none', model: 'tiny' };
    guarded = { baseUrl: serving.gatewayUrl, key: serving.key, model: 'tiny' };
  });
  after(async () => {
    await serving[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  for (const row of CLIENT_CALLS) {
    it(`${row.client} ${row.call}${row.stream ? ' streamed' : ''} gets the same reply through the gateway`, async () => {
      const request = { prompt: 'Tell me something.', maxTokens: 12 };
      const expected = await row.run(direct, request);
      assert.deepEqual(await row.run(guarded, request), expected);
      assert.ok(expected.text.length > 0);
    });
  }

  it('lists models, embeds and counts like the engine', async () => {
    assert.ok((await openaiModels(guarded)).includes('tiny'));
    assert.ok((await ollamaModels(guarded)).includes('tiny'));
    assert.deepEqual(await openaiEmbeddings(guarded, ['hello']), await openaiEmbeddings(direct, ['hello']));
    assert.deepEqual(await ollamaEmbed(guarded, ['hello']), await ollamaEmbed(direct, ['hello']));
    assert.deepEqual(await ollamaShow(guarded), await ollamaShow(direct));
    assert.ok((await anthropicCountTokens(guarded, 'hello')) > 0);
  });

  it('tells every client of a wrong key in its own dialect', async () => {
    const stranger = { ...guarded, key: 'sp_live_000000000000_0000000000000000000000000000000000000000000000000' };
    for (const row of CLIENT_CALLS) {
      const failure = await row.run(stranger, { prompt: 'x', maxTokens: 1 }).then(() => assert.fail('a wrong key was taken'), failureOf);
      assert.match(failure.message, /API key/, `${row.client} ${row.call}`);
      if (failure.status !== null) assert.equal(failure.status, 401, `${row.client} ${row.call}`);
    }
  });

  it('stops the generation when a client leaves its stream, and when it never got a token', async () => {
    const before = (await engine.stats()).aborted;
    const slow = CLIENT_CALLS.find((row) => row.client === 'openai' && row.stream);
    await slow?.run({ ...guarded, model: 'tiny-slow' }, { prompt: 'long', maxTokens: 200, leaveAfter: 2 });
    assert.notEqual(await until(async () => (await engine.stats()).aborted > before, 2_000), null);
    const left = new AbortController();
    const hanging = fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      signal: left.signal,
      headers: { authorization: `Bearer ${serving.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny-hang', messages: [{ role: 'user', content: 'x' }] }),
    });
    assert.notEqual(await until(async () => (await engine.stats()).active > 0, 2_000), null);
    left.abort();
    await assert.rejects(hanging);
    assert.notEqual(await until(async () => (await engine.stats()).active === 0, 2_000), null);
  });
});
