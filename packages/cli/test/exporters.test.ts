import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { freePort, temporaryDirectory } from '@sallyport/testkit';
import { KafkaStandIn, TOPIC } from '@sallyport/testkit/kafka';
import { Sallyport } from './command.ts';
import { startServing, until } from './serving.ts';

const SECRET = randomBytes(32);

/** A webhook receiver that checks signatures; closed and opened again as the test wants it away. */
class Hook implements AsyncDisposable {
  readonly port: number;
  readonly received: { readonly id: string; readonly event: { readonly seq: number; readonly action: string } }[] = [];
  badSignatures = 0;
  #server = createServer();

  constructor(port: number) {
    this.port = port;
  }

  async open(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = request.headers;
      const expected = createHmac('sha256', SECRET).update(`${id}.${at}.${body}`).digest('base64');
      if (signature !== `v1,${expected}`) this.badSignatures++;
      this.received.push(...JSON.parse(body).data.events);
      response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

test('a running server exports what it records; kill -9 and an outage lose nothing', async () => {
  await using hook = new Hook(await freePort());
  await hook.open();
  await using serving = await startServing(`
upstreams: [{ name: demo, kind: demo }]
models: [{ name: chat, upstream: demo }]
audit:
  exporters:
    - { name: hook, kind: webhook, url: "http://127.0.0.1:${hook.port}/in", token: "file:hook.secret", batch: { wait: 100ms } }
`);
  // The first start could not read the secret, which is no reason not to serve.
  assert.equal((await ask(serving.gatewayUrl, serving.key)).status, 200);
  writeFileSync(serving.sallyport.path('hook.secret'), `whsec_${SECRET.toString('base64')}\n`, { mode: 0o600 });
  const requests = (): number => new Set(hook.received.filter(({ event }) => event.action === 'model.infer').map(({ id }) => id)).size;
  assert.notEqual(await until(async () => requests() === 1, 15_000), null, serving.process().stderr);
  assert.ok(hook.received.some(({ event }) => event.action === 'process.start'));

  const counted = async (): Promise<boolean> =>
    /^sallyport_ledger_exporter_delivered_entries_total\{exporter="hook"\} [1-9]/m.test(
      await (await fetch(`${serving.controlUrl}/metrics`)).text(),
    );
  assert.notEqual(await until(counted, 15_000), null);

  // The receiver is away, and then the server dies with entries undelivered.
  await hook.close();
  for (let i = 0; i < 5; i++) assert.equal((await ask(serving.gatewayUrl, serving.key)).status, 200);
  await serving.process().stop('SIGKILL');
  await hook.open();
  await serving.restart();
  assert.notEqual(await until(async () => requests() === 6, 15_000), null, serving.process().stderr);
  assert.equal(hook.badSignatures, 0);

  const status = await serving.sallyport.run(['audit', 'exporters', 'status', '--json']);
  const [row] = JSON.parse(status.stdout).exporters;
  assert.equal(row.name, 'hook');
  assert.deepEqual(row.dead, []);

  const exported = await serving.sallyport.run(['audit', 'export', '--format', 'ocsf', '--action', 'model.infer']);
  const lines = exported.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual([lines.length, lines[0].class_uid, lines[0].metadata.version], [6, 6003, '1.8.0']);

  const tried = await serving.sallyport.run(['audit', 'exporters', 'test', 'hook', '--json']);
  assert.equal(tried.code, 0, tried.stderr);
  assert.equal(hook.received.at(-1)?.id, JSON.parse(tried.stdout).id);
  await hook.close();
  const failed = await serving.sallyport.run(['audit', 'exporters', 'test', 'hook']);
  assert.equal(failed.code, 1);
  assert.match(failed.stdout, /Not taken/);
  await hook.open();
  assert.equal((await serving.sallyport.run(['audit', 'exporters', 'test', 'nobody'])).code, 2);
  assert.match((await serving.sallyport.run(['audit', 'exporters', 'replay', 'hook'])).stdout, /no dead letters/);
});

test('the command that users run, one bundle, reaches a Kafka topic', async () => {
  await using cluster = await KafkaStandIn.start({ partitions: 3 });
  await using home = await temporaryDirectory();
  const sallyport = new Sallyport(home.path);
  writeFileSync(
    sallyport.path('sallyport.yaml'),
    `audit: { exporters: [{ name: kafka, kind: kafka, url: "tcp://127.0.0.1:${cluster.ports[0]}", target: ${TOPIC} }] }\n`,
  );
  const tried = await sallyport.run(['audit', 'exporters', 'test', 'kafka', '--json']);
  assert.equal(tried.code, 0, tried.stderr);
  assert.deepEqual(cluster.received, [JSON.parse(tried.stdout).id]);
});

function ask(url: string, key: string): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'hello' }] }),
  });
}
