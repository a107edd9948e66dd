import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { answerJson, chatReply, redisMissing, run, ScriptedUpstream, startRedis, temporaryDirectory } from '@sallyport/testkit';
import { MAIN, Sallyport } from './command.ts';
import { startServing } from './serving.ts';

const missing = await redisMissing();

interface Use {
  readonly limit: { readonly name: string };
  readonly of: string;
  readonly used: number;
  readonly remaining: number;
  readonly before?: number;
}

/** Asks through the gateway, looks at what was used, and resets it, as an operator does. */
async function showAndReset(counters: string, verb: readonly string[]): Promise<void> {
  await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  await using serving = await startServing(
    `upstreams: [{ name: engine, kind: openai, url: "${engine.url}" }]
models: [{ name: chat, upstream: engine }]
limits: [{ name: few, per: key, requests: 3, window: 1d }, { per: global, requests: 100, window: 1d }]
${counters}`,
    verb,
  );
  const limits = (args: readonly string[], key: string = serving.ownerKey): ReturnType<typeof run> =>
    run(process.execPath, [MAIN, '--config', serving.configFile, 'limits', ...args], {
      cwd: serving.home.path,
      env: { ...serving.sallyport.env, SALLYPORT_KEY: key },
    });
  const ask = async (): Promise<number> => {
    const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.key}`, 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.deepEqual([await ask(), await ask(), await ask(), await ask()], [200, 200, 200, 429]);
  const id = serving.key.split('_')[2] ?? '';
  const shown = await limits(['show', '--key', id, '--json']);
  assert.equal(shown.code, 0, shown.stderr);
  const [few, all] = JSON.parse(shown.stdout) as Use[];
  assert.deepEqual([few?.limit.name, few?.of, few?.used, few?.remaining, all?.of, all?.used], ['few', id, 3, 0, '*', 3]);
  assert.match((await limits(['show', '--key', id])).stdout, /few +key +[0-9a-z]{12} +3 +3 +0 +1d/);
  const reset = await limits(['reset', '--limit', 'few', '--key', id, '--json']);
  assert.equal(reset.code, 0, reset.stderr);
  assert.deepEqual([(JSON.parse(reset.stdout) as Use).before, (JSON.parse(reset.stdout) as Use).used], [3, 0]);
  assert.equal(await ask(), 200);
  assert.equal((await limits(['reset', '--limit', 'few', '--key', id], serving.key)).code, 1);
  // Neither names what could be reset.
  assert.equal((await limits(['reset', '--limit', 'none', '--key', id])).code, 2);
  assert.equal((await limits(['reset', '--key', id])).code, 2);
  const [entry] = (
    await serving.sallyport.run(['audit', 'query', '--config', serving.configFile, '--action', 'limits.reset', '--json'])
  ).stdout
    .trim()
    .split('\n');
  const { kind, principal, detail } = JSON.parse(entry ?? '') as { kind: string; principal: object; detail: object };
  assert.deepEqual([kind, detail], ['change', { per: 'key', of: id, quantity: 'requests', before: 3, after: 0 }]);
  assert.notEqual(principal, null);
  // The ledger is a trace: what a stricter limit would have done.
  const entries = (await serving.sallyport.run(['audit', 'query', '--config', serving.configFile, '--kind', 'request', '--json'])).stdout;
  writeFileSync(serving.sallyport.path('planned.yaml'), 'limits: [{ name: two, per: key, requests: 2, window: 1d }]\n');
  const planned = await serving.sallyport.run(
    ['--config', serving.sallyport.path('planned.yaml'), 'limits', 'simulate', '--json'],
    entries,
  );
  assert.equal(planned.code, 1, planned.stderr);
  const { requests, admitted, refused } = JSON.parse(planned.stdout) as Record<string, number>;
  assert.deepEqual([requests, admitted, refused], [5, 2, 3]);
}

describe('sallyport limits', () => {
  it('shows and resets what the running process counts', () => showAndReset('', ['serve']));

  it('shows and resets what the process that started workers counts', () => showAndReset('', ['serve', '--workers', '2']));

  it('shows and resets what a Redis counts for workers', { skip: missing ?? false }, async () => {
    await using redis = await startRedis({ durable: false });
    await showAndReset(`counters: { url: "${redis.url}" }\n`, ['serve', '--workers', '2']);
  });

  it('simulates a trace: who would be refused, cut, by which limit, and how far each was used', async () => {
    await using home = await temporaryDirectory();
    const sallyport = new Sallyport(home.path);
    writeFileSync(
      sallyport.path('limits.yaml'),
      `upstreams: [{ name: engine, kind: openai, url: "http://127.0.0.1:9" }]
models: [{ name: big, upstream: engine, price: { input: 1, output: 2 } }]
limits:
  - { name: tokens, per: key, tokens: 1000, window: 1m }
  - { name: at-once, per: tenant, concurrency: 2 }
  - { name: money, per: team, spend: 0.002, window: day }
`,
    );
    const line = (fields: object): string =>
      JSON.stringify({ key: 'aaaaaaaaaaaa', model: 'big', input: 100, output: 100, max_tokens: 200, ...fields });
    const trace = [
      line({ time: '2026-11-01T12:00:00Z', ms: 5_000 }),
      line({ time: '2026-11-01T12:00:01Z', ms: 5_000 }),
      // Two of the tenant run.
      line({ time: '2026-11-01T12:00:02Z', key: 'bbbbbbbbbbbb' }),
      line({ time: '2026-11-01T12:00:10Z', input: 400 }),
      // 900 of 1,000 are used.
      line({ time: '2026-11-01T12:00:20Z' }),
      line({ time: '2026-11-01T12:02:00Z', team: 'red' }),
      line({ time: '2026-11-01T12:03:30Z', team: 'red', input: 200, output: 600, max_tokens: 700 }),
      line({ time: '2026-11-01T12:05:00Z', team: 'red', input: 200, max_tokens: 100 }),
      line({ time: '2026-11-02T00:00:00Z', team: 'red', input: 10, max_tokens: 100 }),
      // Without a bound it is given what there is room for, and cut there.
      line({ time: '2026-11-03T00:00:00Z', input: 900, output: 300, max_tokens: null }),
      line({ time: '2026-11-03T00:00:01Z', input: 900, output: 300, max_tokens: 1_200 }),
    ].join('\n');
    const simulated = await sallyport.run(['--config', sallyport.path('limits.yaml'), 'limits', 'simulate', '--json'], trace);
    assert.equal(simulated.code, 1, simulated.stderr);
    const report = JSON.parse(simulated.stdout) as {
      refusals: { line: number; outcome: string; code: string; limit: string }[];
      limits: { limit: string; peak: number; of: string; refused: number }[];
    };
    assert.deepEqual(
      report.refusals.map(({ line: at, outcome, code, limit }) => `${at} ${outcome} ${code} ${limit}`),
      [
        '3 refused concurrency_exceeded at-once',
        '5 refused rate_limit_exceeded tokens',
        '8 refused quota_exceeded money',
        '10 cut rate_limit_exceeded tokens',
        '11 refused quota_exceeded tokens',
      ],
    );
    assert.deepEqual(
      report.limits.map(({ limit, peak, of, refused }) => `${limit} ${peak} ${of} ${refused}`),
      ['tokens 1000 aaaaaaaaaaaa 2', 'at-once 2 default 1', 'money 1900 red 1'],
    );
    const good = await sallyport.run(['--config', sallyport.path('limits.yaml'), 'limits', 'simulate'], line({ time: 1 }));
    assert.equal(good.code, 0);
    assert.match(good.stdout, /^1 requests: 1 admitted/);
    for (const [wrong, said] of [
      ['{', 'line 1: expected a JSON object'],
      ['{"time":1}', 'line 1: key: expected'],
      [line({ time: 'soon' }), 'line 1: time: expected'],
      [line({ time: 1, input: -1 }), 'line 1: input: expected'],
    ] as const) {
      const refused = await sallyport.run(['--config', sallyport.path('limits.yaml'), 'limits', 'simulate'], wrong);
      assert.equal(refused.code, 2);
      assert.ok(refused.stderr.includes(said), refused.stderr);
    }
  });
});
