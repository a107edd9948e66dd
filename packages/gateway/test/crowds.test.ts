import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { eventually } from '@sallyport/testkit';
import { type Harness, HTTP, startHarness } from './harness.ts';

const start = (change: Partial<typeof HTTP>): Promise<Harness> =>
  startHarness({ upstreams: [], routes: [], snapshot: { http: { ...HTTP, maxConnectionsPerAddress: 3, ...change } } });

/** A connection that says nothing, from an address of loopback. */
function open(harness: Harness, localAddress: string): Socket {
  const socket = connect({ port: harness.port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  return socket.resume();
}

async function live(socket: Socket): Promise<boolean> {
  socket.write('GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n');
  return await new Promise((resolve) => {
    socket.once('data', () => resolve(true));
    socket.once('close', () => resolve(false));
    if (socket.destroyed) resolve(false);
  });
}

describe('connections of one address', () => {
  it('are bounded, and other addresses have their own', async () => {
    await using harness = await start({});
    const mine = [1, 2, 3].map(() => open(harness, '127.0.0.1'));
    for (const socket of mine) assert.equal(await live(socket), true);
    assert.equal(await live(open(harness, '127.0.0.1')), false);
    const other = open(harness, '127.0.0.2');
    assert.equal(await live(other), true);
    assert.equal(harness.log.filter(({ event }) => event === 'listener.crowded').length, 1);
    mine[0]?.destroy();
    await eventually('a place is free again', async () => {
      const again = open(harness, '127.0.0.1');
      const served = await live(again);
      again.destroy();
      return served;
    });
    for (const socket of [...mine, other]) socket.destroy();
  });

  it('are not bounded where it is a trusted proxy, and follow the configuration in force', async () => {
    await using harness = await start({ trustedProxies: ['127.0.0.1/32'] });
    const sockets = Array.from({ length: 8 }, () => open(harness, '127.0.0.1'));
    for (const socket of sockets) assert.equal(await live(socket), true);
    harness.publish({ http: { ...HTTP, maxConnectionsPerAddress: 5 } });
    assert.equal(await live(open(harness, '127.0.0.1')), false);
    for (const socket of sockets) socket.destroy();
  });
});
