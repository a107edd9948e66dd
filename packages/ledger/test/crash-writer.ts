import { writeSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { systemClock } from '@sallyport/core';
import { facts, random } from './support.ts';

/*
 * The victim of crash.test.ts: opens a log, appends over the end of a segment and closes, and is killed (SIGKILL, by itself) at the
 * `point`-th call that changes the disk; a write has half of its bytes by then. Says on stdout what was acknowledged, `id seq hash`, and at
 * its end how many calls there were.
 */
const [directory, at] = process.argv.slice(2);
if (directory === undefined || at === undefined) throw new Error('usage: crash-writer DIRECTORY POINT');
const point = Number(at);
let calls = 0;

type Call = (this: unknown, ...rest: unknown[]) => unknown;

/** Counts the calls of `names`, and dies at the one meant, after `partly`. */
function interrupt(target: object, names: readonly string[], partly: (self: unknown, rest: readonly unknown[]) => Promise<void>): void {
  for (const name of names) {
    const original: Call = Reflect.get(target, name);
    Reflect.set(target, name, async function (this: unknown, ...rest: unknown[]) {
      if (++calls === point) {
        await partly(this, rest);
        process.kill(process.pid, 'SIGKILL');
      }
      return original.apply(this, rest);
    });
  }
}

const handle = await fs.open(process.execPath, 'r');
const prototype: object = Object.getPrototypeOf(handle);
await handle.close();
const write: Call = Reflect.get(prototype, 'write');
interrupt(prototype, ['datasync', 'sync', 'truncate', 'writeFile', 'appendFile'], async () => undefined);
interrupt(prototype, ['write'], async (self, [bytes, offset, length, position]) => {
  await write.call(self, bytes, offset, Math.floor(Number(length) / 2), position);
});
interrupt(fs, ['open', 'rename', 'rm', 'mkdir', 'link', 'unlink'], async () => undefined);
syncBuiltinESMExports();

const { loadLedgerKeys, openLedger } = await import('../src/index.ts');
const keys = await loadLedgerKeys(`${directory}/keys`, random);
calls = 0;
const ledger = await openLedger({
  ...keys,
  directory,
  writer: 'w1',
  clock: systemClock,
  random,
  segmentBytes: 60_000,
  checkpointInterval: 20,
});
for (let group = 0; group < 9; group++) {
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const id = `${point}-${group}-${i}`;
      const { seq, hash } = await ledger.append(facts({ id }));
      writeSync(1, `${id} ${seq} ${hash}\n`);
    }),
  );
}
await ledger.close();
writeSync(1, `calls ${calls}\n`);
