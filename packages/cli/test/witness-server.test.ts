import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { silentLogger, systemClock } from '@sallyport/core';
import { loadWitnessKeys, Witness } from '@sallyport/ledger';
import { temporaryDirectory } from '@sallyport/testkit';
import { systemRandom } from '../src/installation.ts';
import { serveWitness } from '../src/process/witness-server.ts';

// Node would look for late requests every 30 seconds.
test('requests that are never finished do not keep a witness from others', { timeout: 20_000 }, async () => {
  await using directory = await temporaryDirectory();
  const keys = await loadWitnessKeys(join(directory.path, 'keys'), systemRandom);
  const options = {
    directory: join(directory.path, 'logs'),
    name: 'witness.example/a',
    logs: [],
    clock: systemClock,
    random: systemRandom,
  };
  await using witness = await Witness.open({ ...options, keys });
  await using server = await serveWitness(witness, [], { host: '127.0.0.1', port: 0 }, silentLogger, 500);
  const { host, port } = server.address;
  const begun = ['POST /add-checkpoint HTTP/1.1\r\n', 'POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nold'];
  const sockets = Array.from({ length: 64 }, () =>
    createConnection(port, host)
      .on('error', () => undefined)
      .resume(),
  );
  const closed = sockets.map((socket) => once(socket, 'close'));
  for (const [i, socket] of sockets.entries()) socket.write(begun[i % 2] ?? '');
  await Promise.all(closed);
  assert.equal((await fetch(`http://${host}:${port}/nothing`)).status, 404);
});
