import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  type Behaviour,
  freePort,
  Launched,
  postgresMissing,
  redisMissing,
  ScriptedUpstream,
  startPostgres,
  startRedis,
  temporaryDirectory,
} from '@sallyport/testkit';
import { Sallyport } from './command.ts';

// Three gateways over one PostgreSQL and one Redis, while each of them fails in turn. SALLYPORT_REPLICA_REQUESTS=10000 and
// SALLYPORT_REPLICA_KEYS=200 give the full size.
const REQUESTS = Number(process.env['SALLYPORT_REPLICA_REQUESTS'] ?? 1_200);
const KEYS = Number(process.env['SALLYPORT_REPLICA_KEYS'] ?? 24);
const LIMIT = 10_000;
const PARALLEL = 24;
const missing = (await postgresMissing()) ?? (await redisMissing());

/** What the model server worked for each key: what counts is what it did, not what a client saw of it. */
class Work {
  readonly used = new Map<string, number>();

  /** Half an answer at a time, so that some are always in progress. Its figures are those of the request. */
  readonly serve: Behaviour = async ({ request, response, signal }) => {
    const bytes = await request.body;
    if (bytes.length === 0) {
      // A probe of the gateway.
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"object":"list","data":[]}');
      return;
    }
    const body = JSON.parse(bytes.toString()) as { messages: { content: string }[]; max_tokens: number; stream?: boolean };
    const key = body.messages[0]?.content.split(' ')[0] ?? '';
    const usage = { prompt_tokens: Math.round(bytes.length / 3.5), completion_tokens: Math.ceil(body.max_tokens * 0.8) };
    const count = (tokens: number): void => void this.used.set(key, (this.used.get(key) ?? 0) + tokens);
    count(usage.prompt_tokens + usage.completion_tokens);
    const choice = { index: 0, finish_reason: 'stop' };
    if (body.stream !== true) {
      const reply = { id: 'c', object: 'chat.completion', created: 1, model: 'chat', usage: { ...usage, total_tokens: 0 } };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...reply, choices: [{ ...choice, message: { role: 'assistant', content: 'Hi' } }] }));
      return;
    }
    const event = (value: object): string =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'chat', ...value })}\n\n`;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(event({ choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi' }, finish_reason: null }] }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (signal.aborted) return;
    response.write(event({ choices: [{ ...choice, delta: {} }] }));
    response.write(event({ choices: [], usage: { ...usage, total_tokens: 0 } }));
    response.end('data: [DONE]\n\n');
  };
}

describe('three gateways, one Redis, one PostgreSQL', { skip: missing ?? false }, () => {
  it('together hold each key to its limit while each of them goes away and comes back', async () => {
    await using database = await startPostgres();
    await using redis = await startRedis();
    await using home = await temporaryDirectory();
    const work = new Work();
    await using engine = await ScriptedUpstream.start({ behaviour: work.serve });
    const sallyport = new Sallyport(home.path);
    // The second gateway's clock is an hour ahead.
    writeFileSync(sallyport.path('skew.mjs'), 'const now = Date.now.bind(Date); Date.now = () => now() + 3_600_000;\n');
    const control = await freePort();
    const gateways = await Promise.all(
      [0, 1, 2].map(async (index) => {
        const port = await freePort();
        const file = sallyport.path(`replica-${index}.yaml`);
        writeFileSync(
          file,
          `listen: { gateway: "127.0.0.1:${port}", control: "127.0.0.1:${control}" }
storage: { url: "${database.url}" }
counters: { url: "${redis.url}" }
upstreams: [{ name: engine, kind: openai, url: "${engine.url}" }]
models: [{ name: chat, upstream: engine, target: chat }]
limits:
  - { per: key, tokens: ${LIMIT}, window: 12h }
  - { per: tenant, concurrency: 1000 }
`,
        );
        return { file, port, url: `http://127.0.0.1:${port}/v1/chat/completions`, writer: `replica-${index}`, skewed: index === 1 };
      }),
    );
    await using stack = new AsyncDisposableStack();
    const start = async ({ file, writer, skewed }: (typeof gateways)[number]): Promise<Launched> => {
      const env = skewed ? { ...sallyport.env, NODE_OPTIONS: `--import=${sallyport.path('skew.mjs')}` } : sallyport.env;
      const child = await Launched.launch(process.execPath, [sallyport.main, 'gateway', '--config', file, '--writer', writer], {
        cwd: home.path,
        env,
      });
      stack.defer(async () => void (await child.stop()));
      await child.waitFor(/Gateway {3}http/, 60_000);
      return child;
    };
    const first = gateways[0]?.file ?? '';
    const init = await sallyport.run(['--config', first, 'init', '--json']);
    assert.equal(init.code, 0, init.stderr);
    const made = JSON.parse(init.stdout) as { ownerKey: { key: string } };
    const plane = await sallyport.start(['--config', first, 'control']);
    stack.defer(async () => void (await plane.stop()));
    await plane.waitFor(/Control {3}http/, 60_000);
    const secrets: string[] = [];
    for (let index = 0; index < KEYS; index += 1) {
      const answer = await fetch(`http://127.0.0.1:${control}/admin/v1/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${made.ownerKey.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: `key-${index}`, roles: ['inference-only'] }),
      });
      secrets.push(((await answer.json()) as { secret: string }).secret);
    }
    const running = await Promise.all(gateways.map(start));

    const statuses = new Map<number, number>();
    /** By key: what requests reserved whose end nobody saw. They may stay counted in full. */
    const unseen = new Map<string, number>();
    const ask = async (key: number, asked: number, maxTokens: number, stream: boolean): Promise<number> => {
      const gateway = gateways[asked % gateways.length];
      const body = JSON.stringify({ model: 'chat', max_tokens: maxTokens, stream, messages: [{ role: 'user', content: `k${key} ` }] });
      try {
        const answer = await fetch(gateway?.url ?? '', {
          method: 'POST',
          headers: { authorization: `Bearer ${secrets[key]}`, 'content-type': 'application/json' },
          body,
        });
        const text = await answer.text();
        if (stream && answer.status === 200 && !text.includes('[DONE]')) throw new Error('cut');
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        return answer.status;
      } catch (error) {
        statuses.set(0, (statuses.get(0) ?? 0) + 1);
        // Nobody was there to reserve anything.
        const cause: unknown = error instanceof Error ? error.cause : null;
        if (cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED') return 0;
        unseen.set(`k${key}`, (unseen.get(`k${key}`) ?? 0) + Math.ceil(body.length / 3.5) + maxTokens);
        return 0;
      }
    };

    /** Until that gateway decides again, on the shared counts. */
    const served = async (gateway: number): Promise<void> => {
      for (let asked = 0; asked < 200; asked += 1) {
        const status = await ask(0, gateway, 1, false);
        if (status === 200 || status === 429) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`gateway ${gateway} serves nobody`);
    };

    const troubles: readonly { readonly at: number; readonly make: () => Promise<void> }[] = [
      {
        at: 0.2,
        make: async () => {
          await redis.kill();
          await new Promise((resolve) => setTimeout(resolve, 400));
          await redis.start();
        },
      },
      {
        at: 0.45,
        make: async () => {
          await database.stop();
          await new Promise((resolve) => setTimeout(resolve, 400));
          await database.start();
        },
      },
      {
        at: 0.65,
        make: async () => {
          // What a gateway still has to give back while the counters are away dies with it, and stays counted in full.
          await served(2);
          await running[2]?.stop('SIGKILL');
          if (gateways[2] !== undefined) running[2] = await start(gateways[2]);
        },
      },
    ];
    const due = [...troubles];
    let making = Promise.resolve();
    let sent = 0;
    const client = async (): Promise<void> => {
      while (sent < REQUESTS) {
        const mine = sent;
        sent += 1;
        if (due[0] !== undefined && mine >= due[0].at * REQUESTS) making = making.then((due.shift() as (typeof troubles)[number]).make);
        // Every key is asked for more than it may have, by all gateways, in changing sizes.
        const status = await ask(mine % KEYS, Math.floor(mine / KEYS) + mine, 100 + ((mine * 37) % 400), mine % 3 === 0);
        // As clients do where nobody can serve them.
        if (status === 503 || status === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, client));
    await making;
    // What is left of each key's limit, in the smallest pieces there are.
    const fill = async (key: number): Promise<void> => {
      for (let size = 400, asked = 0; size >= 1 && asked < 400; asked += 1) {
        const status = await ask(key, asked, size, false);
        if (status === 429) size = size === 1 ? 0 : Math.max(1, Math.floor(size / 2));
        else if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    for (let from = 0; from < KEYS; from += PARALLEL) {
      await Promise.all(Array.from({ length: Math.min(PARALLEL, KEYS - from) }, (_, index) => fill(from + index)));
    }

    const largest = Math.ceil(130 / 3.5) + 500;
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    let broken = 0;
    for (let key = 0; key < KEYS; key += 1) {
      const used = work.used.get(`k${key}`) ?? 0;
      const lost = unseen.get(`k${key}`) ?? 0;
      least = Math.min(least, used);
      broken = Math.max(broken, lost);
      most = Math.max(most, used);
      assert.ok(used <= LIMIT + largest, `key ${key} used ${used} of ${LIMIT}`);
      assert.ok(used + lost >= LIMIT * 0.995, `key ${key} used ${used} of ${LIMIT}, and at most ${lost} in requests that broke off`);
    }
    const told = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
    console.log(
      `${sent} requests and the rest of ${KEYS} limits: ${told}; used of ${LIMIT}: ${least} to ${most}, at most ${broken} more in requests that broke off`,
    );
    for (const gateway of running) await gateway.stop();
    const { stdout } = await sallyport.run(['--config', first, 'audit', 'query', '--json', '--action', 'counters.away']);
    assert.match(stdout, /counters\.away/, 'the ledger says that the counters were away');
  });
});
