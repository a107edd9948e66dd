import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerJson, chatReply, ScriptedUpstream } from '@sallyport/testkit';
import { startServing, until } from './serving.ts';

const DIGEST = 'd'.repeat(64);

describe('reading the ledger', () => {
  it('says in one command each which version answered a request and which ran at a time', async () => {
    const chat = answerJson(chatReply('Hi', 'chat'));
    const tags = answerJson({ models: [{ name: 'llama3.2:latest', digest: DIGEST }] });
    await using engine = await ScriptedUpstream.start({ behaviour: (call) => (call.request.target === '/api/tags' ? tags : chat)(call) });
    await using serving = await startServing(
      `upstreams:\n  - { name: engine, kind: ollama, url: "${engine.url}" }\nmodels:\n  - { name: chat, upstream: engine, target: llama3.2 }\n`,
    );
    const { sallyport } = serving;
    const before = new Date(Date.now() - 86_400_000).toISOString();
    const running = async (...args: string[]): Promise<string> => (await sallyport.run(['audit', 'running', ...args, '--json'])).stdout;
    assert.notEqual(await until(async () => (await running()).includes(DIGEST), 10_000), null);
    const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    await answer.text();
    const id = answer.headers.get('x-request-id') ?? '';
    const model = await sallyport.run(['audit', 'model', id, '--json']);
    assert.equal(model.code, 0, model.stderr);
    const told = JSON.parse(model.stdout) as { outcome: string; model: unknown };
    assert.deepEqual([told.outcome, told.model], ['answered', { artifact: `sha256:${DIGEST}`, name: 'chat', upstream: 'engine' }]);
    const now = JSON.parse(await running('--model', 'chat')) as { name: string; artifact: string };
    assert.deepEqual([now.name, now.artifact], ['chat', `sha256:${DIGEST}`]);
    assert.equal(await running(before), '', 'nothing ran before it began');
    assert.equal(await running('--model', 'other'), '');
    assert.equal((await sallyport.run(['audit', 'model', 'nobody'])).code, 1);
    assert.equal((await sallyport.run(['audit', 'running', 'yesterday'])).code, 2);

    const exported = async (format: string): Promise<string[]> =>
      (await sallyport.run(['audit', 'export', '--format', format, '--id', id, '--no-index'])).stdout.trim().split('\n');
    const [event = ''] = await exported('ocsf');
    assert.equal((JSON.parse(event) as { class_uid: number }).class_uid, 6003);
    assert.match((await exported('cef'))[0] ?? '', /^CEF:0\|/);
    assert.equal((await sallyport.run(['audit', 'export', '--format', 'xml'])).code, 2);
    const indexed = await sallyport.run(['audit', 'index', '--json']);
    assert.deepEqual([indexed.code, JSON.parse(indexed.stdout)], [0, { built: 0, entries: 0 }], 'the open segment has none');
  });
});
