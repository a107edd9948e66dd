import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { type Behaviour, ScriptedUpstream } from '@sallyport/testkit';
import { type Serving, startServing, until } from './serving.ts';

/** How long the model server takes over a streamed answer, milliseconds. */
const STREAM_TIME = 4_000;

/** Streams that run at a server that takes three, and the most there were at once. */
const narrow = { running: 0, most: 0 };

const serve: Behaviour = async (exchange) => {
  const isNarrow = (await exchange.request.body).includes('"model":"narrow"');
  if (isNarrow) narrow.running += 1;
  narrow.most = Math.max(narrow.most, narrow.running);
  try {
    await answer(exchange);
  } finally {
    if (isNarrow) narrow.running -= 1;
  }
};

const answer: Behaviour = async ({ request, response, signal }) => {
  const bytes = await request.body;
  const model = { id: 'c', created: 1, model: 'chat' };
  const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
  const streamed = bytes.includes('"stream":true');
  response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
  if (!streamed) {
    const choices = [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hi' } }];
    response.end(
      bytes.length === 0 ? '{"object":"list","data":[]}' : JSON.stringify({ ...model, object: 'chat.completion', choices, usage }),
    );
    return;
  }
  const event = (delta: object, finish: string | null): string =>
    `data: ${JSON.stringify({ ...model, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  for (let left = STREAM_TIME; left > 0 && !signal.aborted; left -= 200) {
    response.write(event({ content: 'word ' }, null));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  response.end(`${event({}, 'stop')}data: [DONE]\n\n`);
};

const configuration = (url: string): string => `upstreams:
  - { name: engine, kind: openai, url: "${url}" }
  - { name: three, kind: openai, url: "${url}", maxConcurrency: 3 }
  - { name: single, kind: openai, url: "${url}", maxConcurrency: 1 }
models: [{ name: chat, upstream: engine, target: chat }, { name: narrow, upstream: three, target: narrow }]
limits: [{ per: user, concurrency: 4 }]
`;

describe('serve --workers 2', () => {
  let engine: ScriptedUpstream;
  let serving: Serving;
  let limited: string;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: serve });
    serving = await startServing(configuration(engine.url), ['serve', '--workers', '2']);
    limited = (await newKey({ limits: [{ quantity: 'requests', amount: 7, window: '1h' }] })).secret;
  });
  after(async () => {
    // A start that failed leaves no server to stop.
    await (serving as Serving | undefined)?.[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const admin = (path: string, body: object): Promise<Response> =>
    fetch(`${serving.controlUrl}/admin/v1/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.ownerKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const newKey = async (more: object = {}): Promise<{ id: string; secret: string }> => {
    const made = await admin('keys', { name: 'worker', roles: ['inference-only'], ...more });
    const { key, secret } = (await made.json()) as { key: { id: string }; secret: string };
    return { id: key.id, secret };
  };
  /** A connection of its own each time: they are shared out among the workers in turn. */
  const ask = (key: string, more: object = {}, signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<Response> =>
    fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }], ...more }),
      signal,
    });
  const status = async (key: string, more: object = {}): Promise<number> => {
    const answer = await ask(key, more);
    await answer.arrayBuffer();
    return answer.status;
  };
  /** How a request ends; some more than run at a time are answered with a refusal. */
  const end = (key: string): Promise<string> =>
    status(key).then(
      () => 'answered',
      (error: Error) => (error.name === 'TimeoutError' ? 'hangs' : 'closed'),
    );
  const workers = (): number[] =>
    execFileSync('ps', ['--ppid', String(serving.process().pid), '-o', 'pid='], { encoding: 'utf8' })
      .trim()
      .split(/\s+/)
      .map(Number);

  const metrics = async (): Promise<string[]> => (await (await fetch(`${serving.controlUrl}/metrics`)).text()).split('\n');
  const refusals = async (): Promise<number> =>
    (await metrics())
      .filter((line) => line.startsWith('sallyport_limit_refusals_total{'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);

  it('holds a key to its limit in all of them together', async () => {
    const statuses: number[] = [];
    // Three at a time: what runs at once has a limit too.
    const client = async (): Promise<void> => {
      for (let i = 0; i < 7; i += 1) statuses.push(await status(limited));
    };
    await Promise.all([client(), client(), client()]);
    assert.equal(statuses.filter((one) => one === 200).length, 7);
    assert.equal(statuses.filter((one) => one === 429).length, 14);
  });

  it('goes by a change in all of them once it is acknowledged', async () => {
    const { id, secret } = await newKey();
    assert.deepEqual(new Set(await Promise.all(Array.from({ length: 4 }, () => status(secret)))), new Set([200]));
    assert.equal((await admin(`keys/${id}/revoke`, { reason: 'over' })).status, 200);
    for (let i = 0; i < 8; i += 1) assert.equal(await status(secret), 401);
  });

  it('tells what they serve from: of the one farthest behind', async () => {
    const told = async (path: string): Promise<Record<string, unknown>> =>
      (await (
        await fetch(`${serving.controlUrl}/admin/v1/${path}`, { headers: { authorization: `Bearer ${serving.ownerKey}` } })
      ).json()) as Record<string, unknown>;
    await newKey();
    const { database, snapshot } = (await told('status')) as { database: { version: number }; snapshot: { storeVersion: number } };
    assert.equal(snapshot.storeVersion, database.version);
    const { storeVersion, staleSeconds } = await told('snapshot');
    assert.deepEqual([storeVersion, staleSeconds], [database.version, 0]);
  });

  it('replaces each of them without cutting a stream or refusing a request', async () => {
    const before = workers();
    assert.equal(before.length, 2);
    const refused = await refusals();
    assert.ok(refused >= 14, String(refused));
    const streams = Array.from({ length: 4 }, async () => await (await ask(serving.key, { stream: true })).text());
    await until(async () => engine.requests.filter(({ leftAt }) => leftAt === null).length >= 4, 2_000);
    serving.process().signal('SIGUSR2');
    const other = (await newKey()).secret;
    const statuses = new Set<number>();
    const replaced = await until(async () => {
      statuses.add(await status(other));
      return workers().every((pid) => !before.includes(pid)) && workers().length === 2;
    }, 90_000);
    assert.notEqual(replaced, null, 'the old ones ended');
    assert.deepEqual([...statuses], [200]);
    // What has ended is still counted: a counter that falls looks to Prometheus as if all of it happened again.
    assert.equal(await refusals(), refused);
    for (const text of await Promise.all(streams)) {
      assert.match(text, /\[DONE\]/);
      assert.equal(text.match(/word /g)?.length, STREAM_TIME / 200);
    }
  });

  it('keeps those it has, and starts no others, where a configuration is one they could not start with', async () => {
    const before = workers();
    serving.configure('upstreams: 7\n');
    serving.process().signal('SIGUSR2');
    await serving.process().waitFor(/worker\.not-started/, 60_000);
    serving.configure(configuration(engine.url));
    // Longer than the pause before one that ended is started again.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.deepEqual(workers(), before);
    assert.equal(await status((await newKey()).secret), 200);
  });

  it('replaces one that was killed, and frees what it ran', async () => {
    const streamed = (): number => engine.requests.filter(({ bodySoFar }) => bodySoFar.includes('"stream":true')).length;
    const before = streamed();
    const streams = Array.from({ length: 4 }, async () => await (await ask(serving.key, { stream: true })).text().catch(() => 'cut'));
    // First they, then what they leave no room for: else that may take the place of one of them.
    assert.notEqual(await until(async () => streamed() >= before + 4, 3_000), null, 'four run');
    assert.equal(await status(serving.key), 429, 'four at a time');
    for (const pid of workers()) process.kill(pid, 'SIGKILL');
    await Promise.allSettled(streams);
    assert.notEqual(await until(async () => (await status(serving.key).catch(() => 0)) === 200, 90_000), null);
    assert.notEqual(await until(async () => workers().length === 2, 60_000), null);
  });

  it('closes a connection that a worker was being given when it was killed', async () => {
    const key = (await newKey()).secret;
    assert.notEqual(await until(async () => workers().length === 2, 60_000), null);
    const [victim = 0] = workers();
    // It takes nothing any more, and the process that shares connections out does not know.
    process.kill(victim, 'SIGSTOP');
    const ends: string[] = [];
    const asked = Array.from({ length: 6 }, async () => ends.push(await end(key)));
    assert.notEqual(await until(async () => ends.length >= 5, 15_000), null, 'the other one serves');
    assert.equal(ends.length, 5, 'one waits for the worker that stopped');
    process.kill(victim, 'SIGKILL');
    await Promise.all(asked);
    assert.deepEqual(ends, [...Array.from({ length: 5 }, () => 'answered'), 'closed']);
  });

  it('leaves nobody without an end while workers are killed one after the other', async () => {
    const key = (await newKey()).secret;
    const ends = new Map<string, number>();
    let over = false;
    const client = async (): Promise<void> => {
      while (!over) {
        const how = await end(key);
        ends.set(how, (ends.get(how) ?? 0) + 1);
        // Where nobody listens for a moment, a refusal comes at once.
        if (how === 'closed') await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const clients = Array.from({ length: 12 }, client);
    for (let round = 0; round < 4; round += 1) {
      assert.notEqual(await until(async () => workers().length === 2, 60_000), null);
      process.kill(workers()[round % 2] ?? 0, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    over = true;
    await Promise.all(clients);
    assert.equal(ends.get('hangs'), undefined, JSON.stringify([...ends]));
    assert.ok((ends.get('answered') ?? 0) > 0);
    // What they held at a time is free again: four run beside each other as before.
    assert.notEqual(
      await until(async () => {
        const four = await Promise.all(Array.from({ length: 4 }, () => status(key).catch(() => 0)));
        return four.every((one) => one === 200);
      }, 20_000),
      null,
    );
  });

  it('divides what a server takes among them, also those that came in the place of others', async () => {
    assert.notEqual(await until(async () => workers().length === 2, 60_000), null);
    const keys = await Promise.all(Array.from({ length: 5 }, () => newKey()));
    const round = async (): Promise<boolean> => {
      const leaving = new AbortController();
      narrow.most = 0;
      const asked = Promise.allSettled(
        [...keys, ...keys].map(async ({ secret }) => await (await ask(secret, { model: 'narrow', stream: true }, leaving.signal)).text()),
      );
      const reached = await until(async () => narrow.running === 3, 2_000);
      // Time for a fourth. Of those that are broken off then the server hears later than of those that come in their place.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { most } = narrow;
      leaving.abort();
      await asked;
      assert.ok(most <= 3, `${most} at once`);
      assert.notEqual(await until(async () => narrow.running === 0, 10_000), null, 'all have left');
      return reached !== null;
    };
    // One that is still starting has its share once it is ready.
    assert.notEqual(await until(round, 30_000), null, 'all three slots are taken');
    await serving.process().waitFor(/upstream single gets up to 2 requests at once/, 1_000);
  });

  it('counts what all of them do, and each has a log of its own that verifies', async () => {
    const other = (await newKey()).secret;
    for (let i = 0; i < 6; i += 1) assert.equal(await status(other), 200);
    const sample = async (name: string): Promise<number> => {
      const line = (await metrics()).find((one) => one.startsWith(`${name} `));
      return Number(line?.split(' ').at(-1));
    };
    const answered = await sample('sallyport_requests_total{endpoint="openai.chat",model="chat",outcome="answered",status="200"}');
    assert.ok(answered >= 6, String(answered));
    assert.notEqual(
      await until(async () => (await sample('sallyport_requests_in_flight')) === 0, 5_000),
      null,
      `none is in flight: ${await sample('sallyport_requests_in_flight')} ${await sample('sallyport_tokens_in_flight')}`,
    );
    assert.equal(await sample('sallyport_tokens_in_flight'), 0);
    assert.equal((await serving.process().stop()).code, 0);
    const verified = await serving.sallyport.run(['audit', 'verify']);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /serve-w1/);
  });
});
