import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
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
} from '../src/clients.ts';
import { ENGINE_MODELS, type Engine, engineMissing, startEngine } from '../src/engine.ts';
import { eventually } from '../src/leaks.ts';

const missing = await engineMissing();

describe('real clients against the real engine', { skip: missing ?? false }, () => {
  let engine: Engine;
  const target = (model = 'tiny'): ClientTarget => ({ baseUrl: engine.url, key: 'unused', model });

  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  for (const { client, call, stream, run } of CLIENT_CALLS) {
    const name = `${client} ${call}${stream ? ' as a stream' : ''}`;

    it(`${name} gets the tokens it asked for`, async () => {
      const reply = await run(target(), { prompt: 'Say something about the café', maxTokens: 12 });
      assert.ok(reply.text.length > 0);
      assert.ok(stream ? reply.pieces > 4 : reply.pieces === 1, `${reply.pieces} pieces`);
      assert.match(reply.finish ?? '', /^(length|max_tokens|incomplete)$/);
      if (client !== 'curl' || !stream) {
        assert.equal(reply.outputTokens, 12);
        assert.ok((reply.inputTokens ?? 0) > 3);
      }
    });

    it(`${name} reports an unknown model`, async () => {
      const failure = await run(target('no-such-model'), { prompt: 'x', maxTokens: 2 }).then(
        () => assert.fail('it was answered'),
        (error: unknown) => failureOf(error),
      );
      assert.equal(failure.status, 404);
      assert.match(failure.message, /no-such-model/);
    });
  }

  it('streams carry the same text as whole replies, in every dialect', async () => {
    for (const { client, call, run } of CLIENT_CALLS.filter((row) => row.stream)) {
      const whole = CLIENT_CALLS.find((row) => row.client === client && row.call === call && !row.stream);
      if (whole === undefined) continue;
      const request = { prompt: 'the same', maxTokens: 20 };
      assert.equal((await run(target(), request)).text, (await whole.run(target(), request)).text, `${client} ${call}`);
    }
  });

  it('equal requests get equal bytes', async () => {
    const ask = async (): Promise<string> => {
      const body = { model: 'tiny', stream: true, max_tokens: 8, messages: [{ role: 'user', content: 'again' }] };
      return (await fetch(`${engine.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) })).text();
    };
    assert.equal(await ask(), await ask());
  });

  it('a stop sequence ends the reply before it', async () => {
    const ask = async (stop: string[]): Promise<{ content: string; finish: string }> => {
      const body = { model: 'tiny', max_tokens: 20, stop, messages: [{ role: 'user', content: 'stop here' }] };
      const response = await fetch(`${engine.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) });
      const reply: { choices: [{ message: { content: string }; finish_reason: string }] } = JSON.parse(await response.text());
      return { content: reply.choices[0].message.content, finish: reply.choices[0].finish_reason };
    };
    const { content } = await ask([]);
    const stop = content.slice(10, 14);
    assert.deepEqual(await ask([stop]), { content: content.slice(0, content.indexOf(stop)), finish: 'stop' });
  });

  it('lists and describes its models', async () => {
    assert.deepEqual(await openaiModels(target()), [...ENGINE_MODELS.keys()]);
    assert.deepEqual(
      await ollamaModels(target()),
      [...ENGINE_MODELS.keys()].map((name) => `${name}:latest`),
    );
    assert.deepEqual(await ollamaShow(target()), { family: 'llama', quantization: 'F32' });
  });

  it('embeds: the two dialects agree, and different texts differ', async () => {
    const inputs = ['hello world', 'a different text'];
    const openai = await openaiEmbeddings(target(), inputs);
    const ollama = await ollamaEmbed(target(), inputs);
    assert.equal(openai.length, 2);
    assert.equal(openai[0]?.length, 64);
    for (const [index, vector] of openai.entries()) {
      const other = ollama[index] ?? [];
      assert.ok(vector.every((value, at) => Math.abs(value - (other[at] ?? 0)) < 1e-5));
    }
    assert.notDeepEqual(openai[0], openai[1]);
  });

  it('counts tokens', async () => {
    const short = await anthropicCountTokens(target(), 'one');
    const long = await anthropicCountTokens(target(), 'one two three four five');
    assert.ok(short > 0 && long > short);
  });

  for (const { client, call, run } of CLIENT_CALLS.filter((row) => row.stream && row.client !== 'curl')) {
    it(`stops generating when ${client} leaves a ${call} stream`, async () => {
      const before = await engine.stats();
      const reply = await run(target('tiny-slow'), { prompt: 'go on', maxTokens: 200, leaveAfter: 3 });
      assert.equal(reply.pieces, 3);
      await eventually('no generation runs', async () => (await engine.stats()).active === 0);
      assert.equal((await engine.stats()).aborted, before.aborted + 1);
    });
  }

  it('stops before the first token when the client of a whole reply leaves', async () => {
    const before = await engine.stats();
    const leave = new AbortController();
    const body = JSON.stringify({ model: 'tiny-hang', messages: [{ role: 'user', content: 'x' }] });
    const asked = fetch(`${engine.url}/v1/chat/completions`, { method: 'POST', body, signal: leave.signal });
    await eventually('the generation runs', async () => (await engine.stats()).active === 1);
    leave.abort();
    await assert.rejects(asked, { name: 'AbortError' });
    await eventually('no generation runs', async () => (await engine.stats()).active === 0);
    assert.equal((await engine.stats()).aborted, before.aborted + 1);
  });
});
