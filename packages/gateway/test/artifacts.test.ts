import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EntryFacts } from '@sallyport/core';
import { answerJson, chatReply, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, post, route, startHarness, upstream } from './harness.ts';

const FIRST = 'a'.repeat(64);
const SECOND = 'b'.repeat(64);

async function until<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 200; tries += 1) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error('it never came');
}

/** A server whose answer to `path` can be changed. */
async function engine(path: string, first: unknown): Promise<{ server: ScriptedUpstream; tell(value: unknown): void }> {
  let told = first;
  const server = await ScriptedUpstream.start({
    behaviour: (call) =>
      answerJson(call.request.target === path ? told : call.request.method === 'POST' ? chatReply('Hi', 'chat') : {})(call),
  });
  return {
    server,
    tell: (value) => {
      told = value;
    },
  };
}

function serving(entries: readonly EntryFacts[], artifact: string): EntryFacts | undefined {
  return entries.find(({ action, model }) => action === 'model.serving' && model?.artifact === artifact);
}

describe('which artifact answered', () => {
  it('is in each entry as Ollama reports it, and each change of it is an entry of its own', async () => {
    const { server, tell } = await engine('/api/tags', { models: [{ name: 'llama3.2:latest', digest: FIRST }] });
    await using _server = server;
    await using harness = await startHarness({
      upstreams: [upstream(server.url, { kind: 'ollama' })],
      routes: [route('chat', { target: 'llama3.2' })],
      options: { probeInterval: 50 },
    });
    const first = await until(() => serving(harness.entries, `sha256:${FIRST}`));
    assert.deepEqual([first.kind, first.model?.name, first.detail['target'], first.detail['before']], ['change', 'chat', 'llama3.2', null]);
    await (await post(harness, '/v1/chat/completions', chatBody())).arrayBuffer();
    const answered = (): EntryFacts | undefined => harness.entries.findLast(({ kind }) => kind === 'request');
    assert.equal(answered()?.model?.artifact, `sha256:${FIRST}`);
    tell({ models: [{ name: 'llama3.2:latest', digest: SECOND }] });
    const second = await until(() => serving(harness.entries, `sha256:${SECOND}`));
    assert.deepEqual([second.detail['before'], second.detail['after']], [`sha256:${FIRST}`, `sha256:${SECOND}`]);
    await (await post(harness, '/v1/chat/completions', chatBody())).arrayBuffer();
    assert.equal(answered()?.model?.artifact, `sha256:${SECOND}`);
    assert.equal(harness.entries.filter(({ action }) => action === 'model.serving').length, 2, 'once a change');
  });

  it('is the revision that TGI reports', async () => {
    const { server } = await engine('/info', { model_id: 'org/name', model_sha: 'c'.repeat(40) });
    await using _server = server;
    await using harness = await startHarness({
      upstreams: [upstream(server.url, { kind: 'tgi' })],
      routes: [route('chat')],
      options: { probeInterval: 50 },
    });
    assert.equal((await until(() => serving(harness.entries, `org/name@${'c'.repeat(40)}`))).resource, 'chat');
  });

  it('is nothing where a server says what cannot be one', async () => {
    for (const told of [
      { models: [{ name: 'chat', digest: 'not a digest' }, { name: 7, digest: FIRST }, null, 'x'] },
      { models: 'all' },
      [],
      null,
      { models: [{ name: 'chat\n', digest: `${FIRST}\n` }] },
    ]) {
      const { server } = await engine('/api/tags', told);
      await using _server = server;
      await using harness = await startHarness({
        upstreams: [upstream(server.url, { kind: 'ollama' })],
        routes: [route('chat')],
        options: { probeInterval: 40 },
      });
      await until(() => (server.requests.filter(({ target }) => target === '/api/tags').length > 2 ? true : undefined));
      await (await post(harness, '/v1/chat/completions', chatBody())).arrayBuffer();
      assert.equal(harness.entries.findLast(({ kind }) => kind === 'request')?.model?.artifact, null);
      assert.equal(
        harness.entries.some(({ action }) => action === 'model.serving'),
        false,
      );
    }
  });
});
