import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { type Clock, type EntryFacts, type ExporterSettings, silentLogger, systemClock } from '@sallyport/core';
import { Egress, NO_EGRESS_SETTINGS } from '@sallyport/egress';
import { Exporters, receivers } from '@sallyport/export';
import { type Ledger, loadLedgerKeys, openLedger, readEntries } from '@sallyport/ledger';
import { type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import { exchangeFacts as facts } from '@sallyport/testkit/entry';

export { facts };

export const random = { bytes: (length: number): Uint8Array => randomBytes(length) };

/** A ledger of its own, with a log that tests append to. */
export class Bench implements AsyncDisposable {
  readonly directory: string;
  readonly ledger: Ledger;
  readonly #home: TemporaryDirectory;

  private constructor(home: TemporaryDirectory, directory: string, ledger: Ledger) {
    this.#home = home;
    this.directory = directory;
    this.ledger = ledger;
  }

  static async create(options: { readonly segmentBytes?: number; readonly clock?: Clock } = {}): Promise<Bench> {
    const home = await temporaryDirectory();
    const directory = home.file('ledger');
    return new Bench(home, directory, await openLog(home, directory, 'serve', options));
  }

  /** Another log in the same directory. */
  open(writer: string): Promise<Ledger> {
    return openLog(this.#home, this.directory, writer, {});
  }

  /** Appends entries whose `id` is their number, and seals them. */
  async append(count: number, change: (i: number) => Partial<EntryFacts> = () => ({})): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, i) => this.ledger.append(facts({ id: `r${i}`, ...change(i) }))));
    await this.ledger.checkpoint();
  }

  /** Hashes of all entries, as a reader sees them. */
  async hashes(): Promise<string[]> {
    const hashes: string[] = [];
    for await (const { entry } of readEntries(this.directory)) hashes.push(entry.hash);
    return hashes;
  }

  exporters(settings: Partial<ExporterSettings>): Exporters {
    return Bench.exportersOf(this.directory, settings);
  }

  static exportersOf(directory: string, ...changes: readonly Partial<ExporterSettings>[]): Exporters {
    const settings = changes.map(exporterSettings);
    return new Exporters({
      directory,
      settings,
      secrets: (reference) => SECRETS[reference] ?? assert.fail(`no secret ${reference}`),
      clock: systemClock,
      logger: silentLogger,
      random,
      version: '0.1.0',
      egress: egressFor(...settings),
      poll: 5,
      standby: 20,
      backoff: { first: 5, most: 40 },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ledger.close();
    await this.#home[Symbol.asyncDispose]();
  }
}

async function openLog(
  home: TemporaryDirectory,
  directory: string,
  writer: string,
  options: { readonly segmentBytes?: number; readonly clock?: Clock },
): Promise<Ledger> {
  const keys = await loadLedgerKeys(home.file('keys'), random);
  return openLedger({ ...keys, directory, writer, clock: systemClock, random, syncMode: 'unsafe-none', ...options });
}

/** The way out, to these receivers. */
export function egressFor(...settings: readonly ExporterSettings[]): Egress {
  const egress = new Egress({ settings: NO_EGRESS_SETTINGS, resolveSecret: () => assert.fail(), logger: silentLogger });
  egress.name('exporters', receivers(settings));
  return egress;
}

/** What the references of the tests lead to. Tests add to it. */
export const SECRETS: Record<string, string> = {
  'env:TOKEN': 'a-token',
  'env:SECRET': `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  'env:USER': 'AKIDEXAMPLE',
  'env:PASSWORD': 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};

export function exporterSettings(change: Partial<ExporterSettings>): ExporterSettings {
  return {
    name: 'siem',
    kind: 'webhook',
    url: '',
    format: 'json',
    tls: null,
    token: null,
    username: null,
    password: null,
    headers: {},
    brokers: [],
    sasl: 'scram-sha-512',
    tokenUrl: null,
    scope: null,
    compression: 'none',
    protocol: 'http/json',
    target: null,
    prefix: '',
    region: 'eu-central-1',
    acknowledge: true,
    batch: { events: 20, bytes: 1 << 20, wait: 0 },
    timeout: 2000,
    maxAge: null,
    start: 'oldest',
    ...change,
  };
}

/** Waits until `done` holds. The time is a bound on a broken test, not an expectation. */
export async function until(done: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !done(); waited += 5) {
    if (waited > 30_000) assert.fail(`still not so: ${what}`);
    await delay(5);
  }
}

/**
 * What at least once and in order mean: every entry came; the first copies are in the order of the ledger; a later copy is of an entry
 * no further back than one batch.
 */
export function assertDelivered(sent: readonly string[], received: readonly string[], window: number): void {
  const place = new Map(sent.map((hash, i) => [hash, i]));
  let newest = -1;
  for (const hash of received) {
    const at = place.get(hash) ?? assert.fail(`${hash} was never sent`);
    if (at > newest) {
      assert.equal(at, newest + 1, 'an entry came before its predecessor');
      newest = at;
    } else assert.ok(newest - at < window, `entry ${at} came again after entry ${newest}`);
  }
  assert.equal(newest, sent.length - 1, 'entries are missing');
}

export interface Peer extends AsyncDisposable {
  readonly port: number;
  close(): Promise<void>;
}

export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A TCP or TLS server whose connections stay half open until `serve` ends them. */
export async function listen(serve: (socket: Socket) => void, tls: ServerCertificate | null = null): Promise<Peer> {
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    socket.on('error', () => undefined);
    serve(socket);
  };
  const server = tls === null ? createServer({ allowHalfOpen: true }, accept) : createTlsServer({ ...tls, allowHalfOpen: true }, accept);
  // Also those that never come to a handshake.
  server.on('connection', (socket: Socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close, [Symbol.asyncDispose]: close };
}
