import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exporterFamilies, render } from '@sallyport/control';
import { run, ScriptedUpstream, type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { parse } from 'yaml';
import { chatEngine } from './chat-engine.ts';
import { type Serving, startServing, until } from './serving.ts';

const SHIPPED = fileURLToPath(new URL('../../../observability/', import.meta.url));
const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
interface RuleTest {
  readonly name: string;
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[];
}

const { groups } = parse(readFileSync(join(SHIPPED, 'prometheus/sallyport.rules.yaml'), 'utf8')) as {
  groups: readonly { readonly rules: readonly Rule[] }[];
};
const RULES = groups.flatMap(({ rules }) => rules);
const ALERTS = RULES.filter((rule) => rule.alert !== undefined);

/** Expressions of the dashboards, Grafana's variables filled in. */
function dashboardQueries(): { readonly where: string; readonly expr: string }[] {
  const files = readdirSync(join(SHIPPED, 'grafana')).filter((name) => name.endsWith('.json'));
  return files.flatMap((file) => {
    const { panels } = JSON.parse(readFileSync(join(SHIPPED, 'grafana', file), 'utf8')) as {
      panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
    };
    return panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({
        where: `${file}: ${title}`,
        expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
      })),
    );
  });
}

/** Names of metrics in an expression: what stands before `{`, `[` or an operator and is no function, label or recorded name. */
function metricNames(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, '');
  return [...bare.matchAll(/(?<![\w:])(?:sallyport|gen_ai|process|nodejs)_\w+/g)].map(([name]) => name);
}

describe('rules and dashboards', () => {
  it('parse, and every alert has a severity, an area, a summary and a page that says what to do', async (t) => {
    const checked = await promtool(['check', 'rules', join(SHIPPED, 'prometheus/sallyport.rules.yaml')]);
    if (checked === null) return t.skip('promtool is not installed');
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    const page = readFileSync(join(DOCS, 'alerts.md'), 'utf8');
    for (const { alert = '', labels, annotations } of ALERTS) {
      assert.match(labels?.['severity'] ?? '', /^(?:info|warning|critical)$/, alert);
      assert.match(labels?.['area'] ?? '', /^(?:security|limits|ledger|availability|keys|resources)$/, alert);
      assert.ok((annotations?.['summary'] ?? '') !== '', alert);
      assert.equal(annotations?.['runbook'], `docs/alerts.md#${alert.toLowerCase()}`);
      assert.ok(page.includes(`\n### ${alert}\n`), `${alert} is not in docs/alerts.md`);
    }
  });

  it('fire and clear, each of them, in their own unit tests', async (t) => {
    const file = join(SHIPPED, 'prometheus/sallyport.rules.test.yaml');
    const { tests } = parse(readFileSync(file, 'utf8')) as { tests: readonly RuleTest[] };
    for (const { alert = '' } of ALERTS) {
      const own = tests.find(({ name }) => name === alert);
      assert.ok(own !== undefined, `${alert} has no test`);
      const looks = own.promql_expr_test.filter(({ expr }) => expr.includes(`alertname="${alert}"`));
      const fired = looks.findIndex(({ exp_samples }) => exp_samples.length > 0);
      const cleared = looks.findLastIndex(({ exp_samples }) => exp_samples.length === 0);
      assert.ok(fired >= 0 && cleared > fired, `${alert} must fire and then clear`);
    }
    const run = await promtool(['test', 'rules', file]);
    if (run === null) return t.skip('promtool is not installed');
    assert.equal(run.code, 0, run.stdout + run.stderr);
  });

  it('are the dashboards that their source writes', async () => {
    const checked = await run(process.execPath, [join(SHIPPED, 'grafana/dashboards.ts'), '--check']);
    assert.equal(checked.code, 0, checked.stderr);
  });

  it('have expressions that parse', async (t) => {
    await using directory = await temporaryDirectory();
    const queries = dashboardQueries();
    assert.ok(queries.length > 40);
    const rules = queries.map(({ expr }, index) => ({ record: `panel:${index}`, expr }));
    writeFileSync(directory.file('panels.yaml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    const checked = await promtool(['check', 'rules', directory.file('panels.yaml')]);
    if (checked === null) return t.skip('promtool is not installed');
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  });

  it('reach who should hear of them', async (t) => {
    const config = join(SHIPPED, 'alertmanager/alertmanager.yaml');
    const amtool = (args: readonly string[]) => tool('amtool', args);
    const checked = await amtool(['check-config', config]);
    if (checked === null) return t.skip('amtool is not installed');
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    for (const [labels, receiver] of [
      [['area=security', 'severity=warning'], 'security'],
      [['area=security', 'severity=critical'], 'security-page'],
      [['area=ledger', 'severity=critical'], 'security-page'],
      [['area=availability', 'severity=critical'], 'page'],
      [['area=resources', 'severity=warning'], 'team'],
      [['area=keys', 'severity=info'], 'log'],
    ] as const) {
      const routed = await amtool(['config', 'routes', 'test', `--config.file=${config}`, `--verify.receivers=${receiver}`, ...labels]);
      assert.equal(routed?.code, 0, `${labels.join(' ')}: ${routed?.stdout}`);
    }
  });
});

describe('what rules and dashboards name', () => {
  let engine: ScriptedUpstream;
  let exporter: ScriptedUpstream;
  let serving: Serving;
  let secrets: TemporaryDirectory;
  let names: ReadonlySet<string>;

  before(async () => {
    engine = await chatEngine();
    exporter = await ScriptedUpstream.start({
      behaviour: async ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        const gpu = ['GPU_UTIL', 'FB_USED', 'FB_FREE', 'GPU_TEMP', 'POWER_USAGE', 'XID_ERRORS'].map(
          (name) => `DCGM_FI_DEV_${name}{gpu="0"} 0`,
        );
        response.end(['vllm:num_requests_running 1', 'vllm:num_requests_waiting 0', 'vllm:kv_cache_usage_perc 0.5', ...gpu, ''].join('\n'));
      },
    });
    secrets = await temporaryDirectory();
    const { cert, key } = await (await Authority.create()).issueClient();
    writeFileSync(secrets.file('cert.pem'), cert, { mode: 0o600 });
    writeFileSync(secrets.file('key.pem'), key, { mode: 0o600 });
    serving = await startServing(`upstreams:
  - { name: engine, kind: vllm, url: "${engine.url}" }
  - { name: mutual, kind: vllm, url: "https://127.0.0.1:1", tls: { cert: "file:${secrets.file('cert.pem')}", key: "file:${secrets.file('key.pem')}" }, breaker: { failures: 1 } }
models:
  - { name: chat, upstream: engine }
  - { name: support, upstream: engine, prompt: support }
  - { name: away, upstream: mutual }
limits:
  - { name: six, per: key, requests: 6, window: 1m }
guards:
  deny: [{ name: word, pattern: forbidden-word }]
telemetry:
  scrape:
    - { name: vllm, kind: vllm, url: "${exporter.url}/metrics" }
    - { name: gpu1, kind: dcgm, url: "${exporter.url}/metrics" }
`);
    const ask = async (key: string, content: string, extra: object = {}, path = '/v1/chat/completions'): Promise<number> => {
      const answer = await fetch(`${serving.gatewayUrl}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content }], ...extra }),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    const put = await fetch(`${serving.controlUrl}/admin/v1/prompts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.ownerKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'support', text: 'You help customers of the harbour office.' }),
    });
    assert.equal(put.status, 201, await put.text());
    const own = { model: 'support', messages: [{ role: 'system', content: 'You are somebody else.' }] };
    assert.notEqual(await until(async () => (await ask(serving.ownerKey, '', own)) === 200, 10_000), null, 'the prompt is in force');
    // 503 where a probe has opened the breaker before.
    assert.match(String(await ask(serving.key, 'Hello', { model: 'away' })), /^50[23]$/);
    assert.equal(await ask(serving.key, 'Hello', { stream: true }), 200);
    assert.equal(await ask(serving.key, 'a forbidden-word'), 400);
    assert.equal(await ask(serving.key, 'Hello', {}, '/api/pull'), 403);
    assert.equal(await ask('sp_live_nobody', 'Hello'), 401);
    let status = 0;
    for (let tries = 0; tries < 8 && status !== 429; tries += 1) status = await ask(serving.key, 'Hello');
    assert.equal(status, 429);
    const text = await (await fetch(`${serving.controlUrl}/metrics`)).text();
    // Receivers of the ledger need one to be configured: their families are asked for by themselves.
    const exporters = exporterFamilies([{ name: 'siem', lag: 0, lagMilliseconds: 0, delivered: 0, dead: 0, failure: null }]);
    const texts = [text, render(exporters, 'prometheus')].join('\n');
    names = new Set([...texts.matchAll(/^([a-z_0-9]+)(?:\{| )/gm)].map(([, name = '']) => name));
  });
  after(async () => {
    await serving[Symbol.asyncDispose]();
    await secrets[Symbol.asyncDispose]();
    await exporter[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  it('is there in a scrape of a running installation', () => {
    const wanted = [...RULES.map(({ alert, record, expr }) => ({ where: alert ?? record ?? '', expr })), ...dashboardQueries()];
    const missing = wanted.flatMap(({ where, expr }) =>
      metricNames(expr)
        .filter((name) => !names.has(name))
        .map((name) => `${where}: ${name}`),
    );
    assert.deepEqual(missing, []);
  });
});

/** Null where the program is not installed. */
async function tool(program: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string } | null> {
  try {
    return await run(`/usr/bin/${program}`, args);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function promtool(args: readonly string[]): ReturnType<typeof tool> {
  return tool('promtool', args);
}
