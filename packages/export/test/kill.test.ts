import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Launched } from '@sallyport/testkit';
import { StandIn, type Trouble, webhook } from './stand-in.ts';
import { assertDelivered, Bench, until } from './support.ts';

const CHILD = fileURLToPath(new URL('export-child.ts', import.meta.url));
/** How often the exporting process is killed; more with SALLYPORT_TORTURE_ROUNDS. */
const ROUNDS = Math.min(Number(process.env['SALLYPORT_TORTURE_ROUNDS'] ?? 4), 100);
const TROUBLES: readonly Trouble[] = ['answer-lost', { slow: 20 }, 'lost', { status: 503 }];

test(`kill -9 in the middle of exporting, ${ROUNDS} times: all arrives, in order, at most one batch again each time`, async () => {
  await using bench = await Bench.create({ segmentBytes: 100_000 });
  const { api, received } = webhook(() => {});
  await using standIn = await StandIn.start(api);
  const settings = { kind: 'webhook', token: 'env:SECRET', url: standIn.url } as const;
  let writing = true;
  const written = (async () => {
    while (writing) {
      await bench.append(40);
      await delay(10);
    }
  })();
  for (let round = 0; round < ROUNDS; round++) {
    const before = received.length;
    await using child = await Launched.launch(process.execPath, [CHILD, bench.directory, JSON.stringify([settings])]);
    await until(() => received.length > before, `round ${round}: it exports`);
    standIn.troubles.push(...TROUBLES.slice(round % TROUBLES.length));
    await delay(Math.random() * 60);
    await child.stop('SIGKILL');
  }
  writing = false;
  await written;
  await using exporters = bench.exporters(settings);
  exporters.start();
  const sent = await bench.hashes();
  await until(() => new Set(received).size === sent.length, 'all delivered');
  assertDelivered(sent, received, 20);
});
