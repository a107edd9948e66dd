import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import {
  answerJson,
  chatReply,
  freePort,
  type Launched,
  type Postgres,
  postgresMissing,
  ScriptedUpstream,
  startPostgres,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@sallyport/testkit';
import { Sallyport } from './command.ts';
import { until } from './serving.ts';

const missing = await postgresMissing();

// Control plane and gateway as two processes over a real PostgreSQL, which goes away and comes back.
describe('gateway and control plane apart', { skip: missing ?? false }, () => {
  let database: Postgres;
  let engine: ScriptedUpstream;
  let home: TemporaryDirectory;
  let sallyport: Sallyport;
  let gateway: Launched;
  let control: Launched;
  let gatewayUrl: string;
  let controlUrl: string;
  let ownerKey: string;
  let key: string;

  const startGateway = async (): Promise<void> => {
    gateway = await sallyport.start(['gateway', '--config', sallyport.path('sallyport.yaml')]);
    await gateway.waitFor(/Gateway {3}http/, 30_000);
  };
  const status = async (credential: string): Promise<number> => {
    const answer = await fetch(`${gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const admin = async (path: string, body: object): Promise<Response> =>
    fetch(`${controlUrl}/admin/v1/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ownerKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const newKey = async (): Promise<{ id: string; secret: string }> => {
    const made = await admin('keys', { name: 'worker', roles: ['inference-only'] });
    assert.equal(made.status, 201, await made.clone().text());
    const { key: view, secret } = (await made.json()) as { key: { id: string }; secret: string };
    assert.notEqual(await until(async () => (await status(secret)) === 200, 5_000), null);
    return { id: view.id, secret };
  };
  const ready = async (): Promise<{ status: string; snapshot: { staleSeconds: number | null } }> =>
    (await (await fetch(`${gatewayUrl}/health/ready`)).json()) as { status: string; snapshot: { staleSeconds: number | null } };

  before(async () => {
    database = await startPostgres();
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    home = await temporaryDirectory();
    sallyport = new Sallyport(home.path);
    const ports = [await freePort(), await freePort()];
    gatewayUrl = `http://127.0.0.1:${ports[0]}`;
    controlUrl = `http://127.0.0.1:${ports[1]}`;
    writeFileSync(
      sallyport.path('sallyport.yaml'),
      `listen: { gateway: "127.0.0.1:${ports[0]}", control: "127.0.0.1:${ports[1]}" }
storage: { url: "${database.url}" }
upstreams:
  - { name: engine, kind: openai, url: "${engine.url}" }
models:
  - { name: chat, upstream: engine, target: chat }
`,
    );
    const init = await sallyport.run(['init', '--json']);
    assert.equal(init.code, 0, init.stderr);
    const made = JSON.parse(init.stdout) as { ownerKey: { key: string }; firstKey: { key: string } };
    ownerKey = made.ownerKey.key;
    key = made.firstKey.key;
    control = await sallyport.start(['control', '--config', sallyport.path('sallyport.yaml')]);
    await control.waitFor(/Control {3}http/, 30_000);
    await startGateway();
  });
  after(async () => {
    await gateway.stop();
    await control.stop();
    await home[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  it('takes up a revocation by the control plane within two seconds', async () => {
    const { id, secret } = await newKey();
    assert.equal((await admin(`keys/${id}/revoke`, { reason: 'test' })).status, 200);
    assert.notEqual(await until(async () => (await status(secret)) === 401, 2_000), null);
  });

  it('goes on serving with the database gone, says so, and takes up what it missed when it is back', async () => {
    const { id, secret } = await newKey();
    const isControlReady = async (): Promise<boolean> => (await fetch(`${controlUrl}/health/ready`)).status === 200;
    assert.equal(await isControlReady(), true, 'it runs no gateway, and needs no snapshot');
    await database.stop();
    assert.equal(await isControlReady(), false);
    assert.notEqual(await until(async () => (await ready()).snapshot.staleSeconds !== null, 5_000), null);
    assert.equal(await status(key), 200);
    assert.equal(await status(secret), 200);
    assert.equal((await admin('keys', { name: 'x', roles: ['user'] })).status, 503);
    await database.start();
    assert.notEqual(await until(async () => (await admin(`keys/${id}/revoke`, { reason: 'test' })).status === 200, 10_000), null);
    assert.notEqual(await until(async () => (await status(secret)) === 401, 2_000), null);
    assert.equal((await ready()).snapshot.staleSeconds, null);
  });

  it('starts and serves from its last snapshot while the database is away, and a revoked key stays revoked', async () => {
    const { id, secret } = await newKey();
    assert.equal((await admin(`keys/${id}/revoke`, { reason: 'test' })).status, 200);
    assert.notEqual(await until(async () => (await status(secret)) === 401, 2_000), null);
    await gateway.stop();
    await database.stop();
    await startGateway();
    assert.equal(await status(key), 200);
    assert.equal(await status(secret), 401);
    assert.notEqual((await ready()).snapshot.staleSeconds, null);
    await database.start();
    assert.notEqual(await until(async () => (await ready()).snapshot.staleSeconds === null, 10_000), null);
  });
});
