import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { answerJson, chatReply, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { type Serving, startServing, until } from './serving.ts';

describe('a running installation', () => {
  let engine: ScriptedUpstream;
  let serving: Serving;
  const yaml = (model: string): string =>
    `upstreams:\n  - { name: engine, kind: openai, url: "${engine.url}" }\nmodels:\n  - { name: ${model}, upstream: engine, target: chat }\n`;
  const ask = (key: string, model: string, extra: object = {}): Promise<Response> =>
    fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...extra }),
    });
  const statusOf = async (key: string, model: string): Promise<number> => {
    const answer = await ask(key, model);
    await answer.body?.cancel();
    return answer.status;
  };

  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    serving = await startServing(yaml('chat'));
  });
  after(async () => {
    await serving[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  it('answers the first key, and takes up a key made beside it', async () => {
    assert.equal(await statusOf(serving.key, 'chat'), 200);
    const made = await serving.sallyport.run(['keys', 'create', '--name', 'late', '--role', 'inference-only', '--json']);
    assert.equal(made.code, 0, made.stderr);
    const { secret } = JSON.parse(made.stdout) as { secret: string };
    assert.notEqual(await until(async () => (await statusOf(secret, 'chat')) === 200, 5_000), null);
  });

  it('refuses a key within two seconds of its revocation by another process', async (t) => {
    const made = await serving.sallyport.run(['keys', 'create', '--name', 'doomed', '--role', 'inference-only', '--json']);
    const { id, secret } = JSON.parse(made.stdout) as { id: string; secret: string };
    assert.notEqual(await until(async () => (await statusOf(secret, 'chat')) === 200, 5_000), null);
    assert.equal((await serving.sallyport.run(['keys', 'revoke', id])).code, 0);
    const took = await until(async () => (await statusOf(secret, 'chat')) === 401, 2_000);
    assert.notEqual(took, null, 'still admitted after two seconds');
    t.diagnostic(`refused ${Math.round(took ?? 0)} ms after the command had ended`);
  });

  it('goes by what the admin API of the same process has acknowledged: a new key at once, an ended one no more', async () => {
    const admin = (path: string, body: object): Promise<Response> =>
      fetch(`${serving.controlUrl}/admin/v1/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serving.ownerKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const made = await admin('keys', { name: 'short', roles: ['inference-only'] });
    assert.equal(made.status, 201, await made.clone().text());
    const { key, secret } = (await made.json()) as { key: { id: string }; secret: string };
    assert.equal(await statusOf(secret, 'chat'), 200, 'a key that was handed out counts');
    assert.equal((await admin(`keys/${key.id}/revoke`, { reason: 'test' })).status, 200);
    assert.equal(await statusOf(secret, 'chat'), 401, 'a key whose end was acknowledged does not');
  });

  it('takes up a changed configuration on SIGHUP without dropping a stream, and keeps the old one where the new is broken', async () => {
    engine.once(stream(chatStream(['one', ' two', ' three', ' four'], 'chat'), { delayMs: 300 }));
    const seen = engine.requests.length;
    const running = ask(serving.key, 'chat', { stream: true }).then((answer) => answer.text());
    await until(async () => engine.requests.length > seen, 2_000);
    serving.configure(yaml('renamed'));
    serving.process().signal('SIGHUP');
    assert.notEqual(await until(async () => (await statusOf(serving.key, 'renamed')) === 200, 5_000), null);
    assert.equal(await statusOf(serving.key, 'chat'), 404);
    assert.match(await running, /four.*\[DONE\]\n\n$/s);
    serving.configure('models: [ { name: 7 } ]\n');
    serving.process().signal('SIGHUP');
    await serving.process().waitFor(/configuration\.refused/);
    assert.equal(await statusOf(serving.key, 'renamed'), 200);
    serving.configure(yaml('chat'));
    serving.process().signal('SIGHUP');
    assert.notEqual(await until(async () => (await statusOf(serving.key, 'chat')) === 200, 5_000), null);
  });

  it('loses nothing when killed: the ledger verifies and keys still work', async () => {
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(serving.key, 'chat')));
      const ids = answers.map((answer) => answer.headers.get('x-request-id'));
      await Promise.all(answers.map((answer) => answer.text()));
      serving.process().signal('SIGKILL');
      await serving.process().exited;
      const verified = await serving.sallyport.run(['audit', 'verify', '--json']);
      assert.equal(verified.code, 0, verified.stdout);
      const ledger = serving.sallyport.path('sp/ledger');
      const text = readdirSync(ledger, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.jsonl'))
        .map((name) => readFileSync(`${ledger}/${name}`, 'utf8'))
        .join('');
      for (const id of ids) assert.ok(text.includes(`"id":"${id}"`), `exchange ${id} was answered and is not in the ledger`);
      await serving.restart();
      assert.equal(await statusOf(serving.key, 'chat'), 200);
    }
  });

  it('lets a stream end on SIGTERM, takes no new request, and leaves', async () => {
    engine.once(stream(chatStream(['one', ' two', ' three', ' four'], 'chat'), { delayMs: 200 }));
    const answer = await ask(serving.key, 'chat', { stream: true });
    const text = answer.text();
    serving.process().signal('SIGTERM');
    assert.match(await text, /four.*\[DONE\]\n\n$/s);
    assert.deepEqual(await serving.process().exited, { code: 0, signal: null });
    await assert.rejects(fetch(`${serving.gatewayUrl}/health/live`));
    assert.equal((await serving.sallyport.run(['audit', 'verify'])).code, 0);
    await serving.restart();
  });
});
