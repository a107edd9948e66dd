import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto';
import type { Clock, Logger, Random } from '@sallyport/core';
import type { Redis } from 'iovalkey';
import { connectionTo, isSilence, type SharedServer } from '../shared-server.ts';
import { HISTORY } from './history.ts';
import { isReplicaMessage, type ReplicaMessage, type ReplicaRelay, unlifted } from './message.ts';
import { ReplicaOutbox } from './outbox.ts';

export interface ReplicaChannelOptions {
  readonly counters: SharedServer;
  /** Messages are sealed under a key derived from it: who reads the server learns nothing, who writes to it is not believed. */
  readonly pepper: KeyObject;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told what others told, in its order; `age` is how long ago by the server's clock, milliseconds. */
  readonly onMessage: (message: ReplicaMessage, age: number) => void;
  /** Milliseconds a reading waits for news. Default 5 s. */
  readonly block?: number;
}

/** Batches kept for replicas that come back or are new; the oldest go. */
const KEPT = 2_000;
/** By how much the time in a message may differ from when the server got it: an old one that is put there again is none. */
const DRIFT = 60_000;
const BLOCK = 5_000;
/** Milliseconds an answer may take; beyond it the connection counts as dead and is made anew. */
const PATIENCE = 2_000;
/** The pause after a reading that failed, milliseconds. */
const PAUSE = 500;
/** Senders whose last number is remembered. */
const MAX_SENDERS = 10_000;

/** Which use of the pepper this is (RFC 5869, `info`), and what is authenticated with each message. */
const PURPOSE = 'sallyport replicas 1';
const STREAM_PURPOSE = 'sallyport replicas stream 1';
const NONCE = 12;
const TAG = 16;

/** The stream of an installation: another one that uses the same server has its own, and trims none but that. */
export function streamOf(pepper: KeyObject): string {
  return `sallyport:{replicas}:${Buffer.from(hkdfSync('sha256', pepper, new Uint8Array(0), STREAM_PURPOSE, 12)).toString('base64url')}`;
}

/**
 * News between the replicas of an installation: a stream in a Redis or Valkey that each appends to and reads. A replica that starts
 * reads the last hour of it, so that whoever is kept out by the others is kept out by it as well. Sealed with AES-256-GCM (NIST SP
 * 800-38D). While the server is away each replica goes by what it knows itself.
 */
export class ReplicaChannel implements ReplicaRelay, AsyncDisposable {
  readonly #options: ReplicaChannelOptions;
  readonly #key: Buffer;
  readonly #stream: string;
  readonly #writer: Redis;
  readonly #reader: Redis;
  readonly #outbox: ReplicaOutbox;
  readonly #me: string;
  readonly #heard = new Map<string, number>();
  #sent = 0;
  /** Server's time less ours. */
  #offset = 0;
  #closing = false;
  #reading: Promise<void> = Promise.resolve();

  private constructor(options: ReplicaChannelOptions) {
    this.#options = options;
    this.#key = Buffer.from(hkdfSync('sha256', options.pepper, new Uint8Array(0), PURPOSE, 32));
    this.#me = Buffer.from(options.random.bytes(9)).toString('base64url');
    this.#stream = streamOf(options.pepper);
    this.#writer = connectionTo(options.counters, PATIENCE);
    this.#reader = connectionTo(options.counters, (options.block ?? BLOCK) + PATIENCE);
    this.#outbox = new ReplicaOutbox((messages) => void this.#append(messages));
  }

  /** Connects, or goes on trying: nobody waits for news. */
  static async open(options: ReplicaChannelOptions): Promise<ReplicaChannel> {
    const channel = new ReplicaChannel(options);
    await Promise.allSettled([channel.#writer.connect(), channel.#reader.connect()]);
    channel.#reading = channel.#read();
    return channel;
  }

  send(message: ReplicaMessage): void {
    this.#outbox.send(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#outbox.flush();
    await this.#writer.quit().catch(() => undefined);
    this.#writer.disconnect();
    this.#reader.disconnect();
    await this.#reading;
  }

  async #append(messages: readonly ReplicaMessage[]): Promise<void> {
    this.#sent += 1;
    const at = Math.round(this.#options.clock.now() + this.#offset);
    const text = JSON.stringify({ from: this.#me, number: this.#sent, at, messages });
    try {
      const id = await this.#writer.xadd(this.#stream, 'MAXLEN', '~', KEPT, '*', 'm', this.#seal(text));
      if (id !== null) this.#offset = timeOf(id) - this.#options.clock.now();
      await this.#writer.pexpire(this.#stream, HISTORY);
    } catch (error) {
      this.#failed(error, this.#writer);
    }
  }

  async #read(): Promise<void> {
    let last: string | null = null;
    while (!this.#closing) {
      try {
        if (last === null) {
          const now = await this.#now();
          this.#offset = now - this.#options.clock.now();
          last = `${Math.max(0, now - HISTORY)}-0`;
        }
        const answer: [string, [string, string[]][]][] | null = await this.#reader.xread(
          'COUNT',
          KEPT,
          'BLOCK',
          this.#options.block ?? BLOCK,
          'STREAMS',
          this.#stream,
          last,
        );
        const entries: readonly [string, string[]][] = answer?.[0]?.[1] ?? [];
        if (entries.length === 0) continue;
        const now = await this.#now();
        const heard: [ReplicaMessage, number][] = [];
        for (const [id, fields] of entries) {
          last = id;
          const age = Math.max(0, now - timeOf(id));
          for (const message of this.#take(timeOf(id), fields[1] ?? '')) heard.push([message, age]);
        }
        for (const [message, age] of unlifted(heard)) this.#options.onMessage(message, age);
      } catch (error) {
        if (this.#closing) return;
        this.#failed(error, this.#reader);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  async #now(): Promise<number> {
    const [seconds, microseconds] = await this.#reader.time();
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }

  /** What others told in one entry. Whoever may write to the server decides what is here. */
  #take(receivedAt: number, sealed: string): readonly ReplicaMessage[] {
    const text = this.#open(sealed);
    if (text === null) {
      this.#options.logger.warn('replicas.not-ours');
      return [];
    }
    const { from, number, at, messages } = JSON.parse(text) as { from: string; number: number; at: number; messages: unknown[] };
    if (from === this.#me || number <= (this.#heard.get(from) ?? 0) || Math.abs(at - receivedAt) > DRIFT) return [];
    this.#heard.delete(from);
    if (this.#heard.size >= MAX_SENDERS) for (const oldest of this.#heard.keys()) if (this.#heard.delete(oldest)) break;
    this.#heard.set(from, number);
    return messages.filter(isReplicaMessage);
  }

  #seal(text: string): string {
    const nonce = this.#options.random.bytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  #open(sealed: string): string | null {
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.length < NONCE + TAG) return null;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE), { authTagLength: TAG });
    decipher.setAuthTag(bytes.subarray(-TAG));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]).toString('utf8');
    } catch {
      return null; // another installation's, or somebody's own
    }
  }

  #failed(error: unknown, connection: Redis): void {
    if (isSilence(error)) connection.disconnect(true);
    this.#options.logger.debug('replicas.failed', { reason: error instanceof Error ? error.name : 'unknown' });
  }
}

/** The server's time in the id it gave, epoch milliseconds. */
function timeOf(id: string): number {
  return Number(id.slice(0, id.indexOf('-')));
}
