import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { ScriptedUpstream } from '@sallyport/testkit';
import { chatEngine } from './chat-engine.ts';
import { type Serving, startServing } from './serving.ts';

const PROMTOOL = '/usr/bin/promtool';

describe('metrics of a running installation', () => {
  let engine: ScriptedUpstream;
  let serving: Serving;

  before(async () => {
    engine = await chatEngine();
    serving = await startServing(
      `upstreams:\n  - { name: engine, kind: vllm, url: "${engine.url}" }\nmodels:\n  - { name: chat, upstream: engine }\n`,
    );
    const ask = async (key: string, extra: object = {}): Promise<void> => {
      const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }], ...extra }),
      });
      await answer.arrayBuffer();
    };
    await ask(serving.key);
    await ask(serving.key, { stream: true });
    await ask('sp_live_nobody');
  });
  after(async () => {
    await serving[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const scrape = async (accept: string): Promise<{ type: string; text: string }> => {
    const answer = await fetch(`${serving.controlUrl}/metrics`, { headers: { accept } });
    assert.equal(answer.status, 200);
    return { type: answer.headers.get('content-type') ?? '', text: await answer.text() };
  };

  it('counts what went through, in the names of the contract', async () => {
    const { text } = await scrape('text/plain');
    for (const line of [
      'sallyport_requests_total{endpoint="openai.chat",model="chat",outcome="answered",status="200"} 2',
      'sallyport_requests_total{endpoint="openai.chat",model="-",outcome="refused",status="401"} 1',
      'sallyport_requests_in_flight 0',
      'sallyport_ledger_failing 0',
      'sallyport_upstream_up{upstream="engine"} 1',
    ])
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
    assert.match(text, /^sallyport_authentication_failures_total\{reason="[a-z-]+"\} 1$/m);
    assert.match(text, /^sallyport_ledger_append_seconds_count\{outcome="durable"\} [1-9]/m);
    assert.match(text, /^sallyport_keys_active [2-9]$/m);
    assert.match(text, /^sallyport_disk_free_bytes\{volume="ledger"\} [1-9]/m);
  });

  it('passes promtool', { skip: existsSync(PROMTOOL) ? false : 'promtool is not installed' }, async () => {
    const { text } = await scrape('text/plain');
    const checked = spawnSync(PROMTOOL, ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr + checked.stdout);
    assert.equal(checked.stderr, '');
  });

  it('gives OpenMetrics with exemplars that lead to the ledger', async () => {
    const { type, text } = await scrape('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4');
    assert.match(type, /^application\/openmetrics-text; version=1\.0\.0/);
    assert.ok(text.endsWith('# EOF\n'));
    const id = /^sallyport_overhead_seconds_bucket\{endpoint="openai\.chat",le="[^"]+"\} \d+ # \{request_id="([^"]+)"\}/m.exec(text)?.[1];
    assert.ok(id !== undefined, text);
    const found = await serving.sallyport.run(['audit', 'query', '--id', id, '--json']);
    assert.equal(found.code, 0, found.stderr);
    assert.equal((JSON.parse(found.stdout) as { id: string }).id, id);
  });
});
