/** What storing texts costs: `node packages/ledger/bench/sealed.ts [--bytes 2048] [--count 2000]`, in a directory of this disk, 16 at once. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SealedBodies } from '../src/index.ts';

const IN_FLIGHT = 16;
const { values } = parseArgs({ options: { bytes: { type: 'string', default: '2048' }, count: { type: 'string', default: '2000' } } });
const count = Number(values.count);
const directory = mkdtempSync(join(process.cwd(), '.bench-sealed-'));
try {
  const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
  const bodies = new SealedBodies({ directory, masterKey: createSecretKey(randomBytes(32)), random });
  const body = randomBytes(Number(values.bytes));
  const times: number[] = [];
  let next = 0;
  const run = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const began = performance.now();
      await bodies.seal(`tenant/u${i % 50}`, `r${i}-prompt`, body);
      times.push(performance.now() - began);
    }
  };
  const cpu = process.cpuUsage();
  const began = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, run));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (count - 1))] ?? 0).toFixed(1);
  process.stdout.write(
    `${Math.round(count / seconds)} bodies a second, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; processor ${((user + system) / count).toFixed(0)} us a body, all threads\n`,
  );
} finally {
  rmSync(directory, { recursive: true });
}
