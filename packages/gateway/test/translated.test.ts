import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, cutEvery, type Engine, engineMissing, ScriptedUpstream, startEngine, stream } from '@sallyport/testkit';
import { anthropicClient, ollamaClient } from '@sallyport/testkit/clients';
import { type Harness, post, route, startHarness, upstream } from './harness.ts';

const missing = await engineMissing();

function target(harness: Harness, model = 'chat'): { baseUrl: string; key: string; model: string } {
  return { baseUrl: harness.url, key: harness.key, model };
}

for (const kind of ['tgi', 'openai'] as const) {
  describe(`real clients in front of a real ${kind} server that speaks only OpenAI's API`, { skip: missing ?? false }, () => {
    let engine: Engine;
    let harness: Harness;
    before(async () => {
      engine = await startEngine();
      harness = await startHarness({
        upstreams: [upstream(engine.url, { kind, timeouts: { connect: 2_000, firstByte: 20_000, idle: 20_000, total: 60_000 } })],
        routes: [route('chat', { target: 'tiny' })],
      });
    });
    after(async () => {
      await harness[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    });

    it('answers Anthropic messages, whole and streamed, with the same text', async () => {
      const client = anthropicClient(target(harness));
      const request = { model: 'chat', max_tokens: 8, system: 'Be brief.', messages: [{ role: 'user' as const, content: 'Hello 👋' }] };
      const whole = await client.messages.create(request);
      const [block] = whole.content;
      assert.ok(block?.type === 'text' && block.text.length > 0);
      assert.equal(whole.model, 'chat');
      assert.equal(whole.stop_reason, 'max_tokens');
      assert.equal(whole.usage.output_tokens, 8);
      const streamed = await client.messages.stream(request).finalMessage();
      assert.deepEqual(streamed.content, whole.content);
      assert.deepEqual([streamed.stop_reason, streamed.model], ['max_tokens', 'chat']);
      assert.deepEqual(streamed.usage, whole.usage);
      assert.deepEqual(harness.entries.at(-1)?.usage, { input: whole.usage.input_tokens, output: 8, cached: 0, exact: true });
    });

    it('answers Ollama chat and generate, whole and streamed, with the same text', async () => {
      const client = ollamaClient(target(harness));
      const messages = [{ role: 'user', content: 'Grüß Gott' }];
      const options = { num_predict: 8, temperature: 0 };
      const whole = await client.chat({ model: 'chat', messages, options });
      assert.ok(whole.message.content.length > 0);
      assert.deepEqual([whole.done_reason, whole.model, whole.eval_count], ['length', 'chat', 8]);
      let text = '';
      let lines = 0;
      for await (const part of await client.chat({ model: 'chat', messages, options, stream: true })) {
        text += part.message.content;
        lines += 1;
        if (part.done) assert.deepEqual([part.done_reason, part.eval_count], ['length', 8]);
      }
      assert.equal(text, whole.message.content);
      assert.ok(lines > 2);
      const generated = await client.generate({ model: 'chat', prompt: 'Grüß Gott', options });
      assert.equal(generated.response, text);
      let response = '';
      for await (const part of await client.generate({ model: 'chat', prompt: 'Grüß Gott', options, stream: true }))
        response += part.response;
      assert.equal(response, text);
    });

    it('answers Ollama embeddings where the server embeds, and refuses them where it does not', async () => {
      const client = ollamaClient(target(harness));
      const embedding = client.embed({ model: 'chat', input: ['one', 'two'] });
      if (kind === 'tgi') {
        await assert.rejects(embedding, { status_code: 400 });
        return;
      }
      const { embeddings, prompt_eval_count } = await embedding;
      assert.equal(embeddings.length, 2);
      assert.ok(prompt_eval_count > 0);
      const direct = await client.embeddings({ model: 'chat', prompt: 'two' });
      assert.deepEqual(direct.embedding, embeddings[1]);
    });

    it('describes a model to Ollama clients by what is known of it', async () => {
      const { capabilities, details } = await ollamaClient(target(harness)).show({ model: 'chat' });
      assert.deepEqual([capabilities, details.family], [['completion'], '']);
    });
  });
}
