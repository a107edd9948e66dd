import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@sallyport/core';
import type { LedgerPort } from '@sallyport/gateway';
import { loadLedgerKeys, openLedger } from '@sallyport/ledger';
import { GUARD, HTTP, route, startHarness, upstream } from '../../packages/gateway/test/harness.ts';

/**
 * A gateway as it is in production but for what it was given: `gateway.ts with|without DIRECTORY UPSTREAM_PORT`. `without` records nothing
 * and takes no digests, which no configuration can have. Prints its port and a key.
 */
const [mode = 'with', directory = '', port = ''] = process.argv.slice(2);

const SILENCE: LedgerPort & { failing(): boolean } = {
  append: () => Promise.resolve({ seq: 0 }),
  digest: () => '0'.repeat(64),
  startDigest: () => ({ update: () => {}, hex: () => '0'.repeat(64) }),
  failing: () => false,
};

async function ledger(): Promise<LedgerPort & { failing(): boolean }> {
  const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
  const keys = await loadLedgerKeys(join(directory, 'keys'), random);
  return openLedger({ ...keys, directory, writer: 'bench', clock: systemClock, random });
}

const { port: own, key } = await startHarness({
  upstreams: [
    upstream(`http://127.0.0.1:${port}`, { kind: 'openai', timeouts: { connect: 5_000, firstByte: 30_000, idle: 30_000, total: 60_000 } }),
  ],
  routes: [route('bench')],
  snapshot: { guard: { ...GUARD, input: ['characters', 'length', 'secrets'], output: ['characters', 'length', 'secrets'] }, http: HTTP },
  options: { ledger: mode === 'with' ? await ledger() : SILENCE },
});
process.stdout.write(`${JSON.stringify({ port: own, key })}\n`);
