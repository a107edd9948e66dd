import { systemClock } from '@sallyport/core';
import { loadLedgerKeys, openLedger } from '../src/index.ts';
import { facts, random } from './support.ts';

/*
 * The victim of torture.test.ts: appends without end and says on stdout what was acknowledged, a line each: `id seq hash`. A pipe is
 * written synchronously on Linux, so what the parent reads is what was acknowledged before the kill, less a line at most.
 */
const [directory, round] = process.argv.slice(2);
if (directory === undefined || round === undefined) throw new Error('usage: torture-writer DIRECTORY ROUND');
const keys = await loadLedgerKeys(`${directory}/keys`, random);
const ledger = await openLedger({
  ...keys,
  directory,
  writer: 'w1',
  clock: systemClock,
  random,
  segmentBytes: 300_000,
  checkpointInterval: 5,
});
process.stdout.write('open\n');
let count = 0;

async function appendForever(): Promise<never> {
  while (true) {
    const id = `${round}-${count++}`;
    const { seq, hash } = await ledger.append(facts({ id }));
    process.stdout.write(`${id} ${seq} ${hash}\n`);
  }
}

await Promise.all(Array.from({ length: 64 }, appendForever));
