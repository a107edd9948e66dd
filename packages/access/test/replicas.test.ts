import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { silentLogger, systemClock } from '@sallyport/core';
import { eventually, type RedisServer, redisMissing, startRedis } from '@sallyport/testkit';
import { Redis } from 'iovalkey';
import {
  openReplicaChannel,
  type ReplicaChannel,
  type ReplicaChannelOptions,
  type ReplicaMessage,
  ReplicaOutbox,
  RiskBook,
} from '../src/index.ts';
import { streamOf } from '../src/replicas/channel.ts';
import { SETTINGS } from './risk-settings.ts';

const missing = await redisMissing();
const pepper = createSecretKey(randomBytes(32));
const STREAM = streamOf(pepper);
const signal = (subject: string, times = 1): ReplicaMessage => ({
  kind: 'signal',
  subject: `principal:acme/${subject}`,
  signal: 'blocked',
  times,
});

it('messages that add up are told as one, a reset ends what was to be told before, and a flood is bounded', () => {
  const told: ReplicaMessage[][] = [];
  const outbox = new ReplicaOutbox((messages) => told.push([...messages]));
  outbox.send(signal('a'));
  outbox.send(signal('a', 2));
  outbox.send(signal('b'));
  outbox.send({ kind: 'reset', subject: 'principal:acme/b' });
  outbox.send(signal('b', 4));
  outbox.flush();
  outbox.flush();
  assert.deepEqual(told, [[signal('a', 3), { kind: 'reset', subject: 'principal:acme/b' }, signal('b', 4)]]);
  for (let i = 0; i < 10_000; i += 1) outbox.send(signal(String(i)));
  outbox.flush();
  assert.equal(told[1]?.length, 100);
});

describe('news between replicas in a Redis', { skip: missing ?? false }, () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedis();
  });
  after(() => server[Symbol.asyncDispose]());

  const join = async (
    key = pepper,
    change: Partial<ReplicaChannelOptions> = {},
  ): Promise<{ channel: ReplicaChannel; heard: [ReplicaMessage, number][] } & AsyncDisposable> => {
    const heard: [ReplicaMessage, number][] = [];
    const channel = await openReplicaChannel({
      counters: { url: server.url, password: null },
      pepper: key,
      clock: systemClock,
      random: { bytes: (length) => randomBytes(length) },
      logger: silentLogger,
      onMessage: (message, age) => heard.push([message, age]),
      ...change,
    });
    return { channel, heard, [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() };
  };
  const messages = ({ heard }: { heard: [ReplicaMessage, number][] }): ReplicaMessage[] => heard.map(([message]) => message);

  it('every other replica hears of it, one that starts later too, in order and with its age', async () => {
    await using a = await join();
    await using b = await join();
    a.channel.send(signal('one'));
    a.channel.send(signal('two'));
    await eventually('the other hears', () => b.heard.length === 2);
    b.channel.send({ kind: 'reset', subject: 'principal:acme/one' });
    await eventually('and answers', () => a.heard.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    await using late = await join();
    await eventually('a late one hears what still holds', () => late.heard.length === 2);
    assert.deepEqual(messages(late), [signal('two'), { kind: 'reset', subject: 'principal:acme/one' }]);
    assert.ok(
      late.heard.every(([, age]) => age >= 100 && age < 60_000),
      JSON.stringify(late.heard),
    );
    assert.deepEqual(messages(a), [{ kind: 'reset', subject: 'principal:acme/one' }], 'nobody hears its own words');
  });

  it('who reads the server learns nothing, and who writes to it is not believed', async () => {
    const other = new Redis(server.url);
    await other.flushall();
    await using a = await join();
    await using stranger = await join(createSecretKey(randomBytes(32)));
    await using b = await join();
    a.channel.send(signal('ann.secret'));
    await eventually('it is heard', () => b.heard.length === 1);
    const [entry] = await other.xrange(STREAM, '-', '+');
    const sealed = entry?.[1][1] ?? assert.fail();
    assert.ok(!sealed.includes('ann') && !Buffer.from(sealed, 'base64url').includes('ann'));
    // The same again, changed, cut, and by another installation.
    await other.xadd(STREAM, '*', 'm', sealed);
    for (const at of [0, 14, sealed.length - 2]) await other.xadd(STREAM, '*', 'm', `${sealed.slice(0, at)}A${sealed.slice(at + 1)}`);
    for (const forged of ['', '{}', sealed.slice(0, 30), JSON.stringify(signal('x'))]) await other.xadd(STREAM, '*', 'm', forged);
    stranger.channel.send(signal('theirs'));
    a.channel.send(signal('last'));
    await eventually('what comes after is heard', () =>
      messages(b).some((message) => 'subject' in message && message.subject.endsWith('last')),
    );
    assert.deepEqual(messages(b), [signal('ann.secret'), signal('last')]);
    assert.deepEqual(stranger.heard, []);
    // Put there again when nobody remembers it: it says itself how old it is.
    await other.del(STREAM);
    await other.xadd(STREAM, `${Date.now() + 120_000}-0`, 'm', sealed);
    await using fresh = await join();
    a.channel.send(signal('now'));
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.ok(!messages(fresh).some((message) => 'subject' in message && message.subject.endsWith('ann.secret')));
    await other.del(STREAM);
    other.disconnect();
  });

  it('connects anew where the other end is gone without a word', async () => {
    // What a firewall that forgot a connection does: bytes go nowhere, and nothing ends.
    const sockets = new Set<Socket>();
    let isForgotten = false;
    const { port } = new URL(server.url);
    await using middle = createServer((socket) => {
      const on = connect(Number(port), '127.0.0.1');
      const forward = (from: Socket, to: Socket): void => {
        sockets.add(from);
        const since = isForgotten;
        from.on('data', (chunk) => isForgotten === since && to.write(chunk));
        from.on('error', () => undefined);
        from.on('close', () => to.destroy());
      };
      forward(socket, on);
      forward(on, socket);
    });
    middle.listen(0, '127.0.0.1');
    await once(middle, 'listening');
    const url = `redis://127.0.0.1:${(middle.address() as AddressInfo).port}`;
    await using a = await join(pepper, { counters: { url, password: null }, block: 200 });
    await using b = await join();
    b.channel.send(signal('through'));
    await eventually('it is heard', () => a.heard.length === 1);
    isForgotten = true;
    b.channel.send(signal('meanwhile'));
    await eventually('it is heard by another connection', () => a.heard.length === 2, 10_000);
    await eventually(
      'and so is what it says',
      async () => {
        a.channel.send(signal('again'));
        await new Promise((resolve) => setTimeout(resolve, 200));
        return b.heard.length > 0;
      },
      10_000,
    );
    for (const socket of sockets) socket.destroy();
  });

  it('an installation that says much takes nothing from another at the same server', async () => {
    const other = new Redis(server.url);
    await other.flushall();
    await using quiet = await join();
    quiet.channel.send(signal('quiet'));
    await eventually('it is told', async () => (await other.xlen(STREAM)) === 1);
    const theirs = createSecretKey(randomBytes(32));
    await using loud = await join(theirs);
    loud.channel.send(signal('loud'));
    await eventually('they have a stream of their own', async () => (await other.xlen(streamOf(theirs))) === 1);
    assert.equal(await other.xlen(STREAM), 1);
    await other.flushall();
    other.disconnect();
  });

  it('goes on when the server was away, and tells what was told meanwhile to nobody twice', async () => {
    await using a = await join();
    await using b = await join();
    a.channel.send(signal('before'));
    await eventually('it is heard', () => b.heard.length === 1);
    await server.kill();
    a.channel.send(signal('lost'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.start();
    await eventually('it is heard again', async () => {
      a.channel.send(signal('after'));
      await new Promise((resolve) => setTimeout(resolve, 200));
      return messages(b).some((message) => 'subject' in message && message.subject.endsWith('after'));
    });
    assert.equal(messages(b).filter((message) => 'subject' in message && message.subject.endsWith('before')).length, 1);
  });
});

it('what a replica hears late counts by its age, and ends when it would have ended', () => {
  const clock = { time: 10_000_000 };
  const book = new RiskBook(SETTINGS, { clock: { now: () => clock.time, monotonic: () => clock.time }, onRisk: () => undefined });
  book.apply({ kind: 'signal', subject: 'principal:acme/a', signal: 'blocked', times: 10 }, 600_000);
  assert.deepEqual([book.show('principal:acme/a')?.score, book.show('principal:acme/a')?.until], [100, clock.time + 300_000]);
  book.apply({ kind: 'signal', subject: 'principal:acme/b', signal: 'blocked', times: 10 }, 1_200_000);
  assert.equal(book.check('principal:acme/b')?.level ?? 'none', 'none');
  // In any order.
  book.report('principal:acme/c', 'blocked', 5);
  book.apply({ kind: 'signal', subject: 'principal:acme/c', signal: 'blocked', times: 4 }, 600_000);
  assert.equal(book.show('principal:acme/c')?.score, 140);
});
