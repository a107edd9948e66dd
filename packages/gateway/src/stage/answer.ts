import { Fault, type Usage } from '@sallyport/core';
import { type Endpoint, errorType, type ReplyEvent, type ReplyFormat, type ReplyStream } from '@sallyport/wire';
import type { TokenSource } from '../charge.ts';
import type { Door } from '../door.ts';
import type { ExchangeRecord } from '../record.ts';
import { readAll, type UpstreamCall } from '../upstream/call.ts';
import type { Answered } from './facts.ts';
import type { Forwarded } from './forward.ts';
import { Relay } from './relay.ts';

/** Largest whole reply, bytes. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;
/** Largest single event of a stream, bytes. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** How long an upstream that has sent its end marker may take to end its answer, milliseconds. */
const LINGER = 500;

/** Brings the reply to the client, inspected, all but its last byte: `finish` sends that, once the ledger has the exchange. */
export async function answer(forwarded: Forwarded, door: Door, record: ExchangeRecord): Promise<Answered> {
  try {
    const answered = await read(forwarded, door, record);
    forwarded.judge(answered.fault);
    return answered;
  } catch (error) {
    if (error instanceof Fault) forwarded.judge(error);
    throw error;
  }
}

function read(forwarded: Forwarded, door: Door, record: ExchangeRecord): Promise<Answered> {
  const format = forwarded.endpoint.reply;
  if (format === null) return answerOwn(forwarded, record);
  return forwarded.request?.stream === true && format.streamType !== null
    ? answerStream(forwarded, format, format.streamType, door, record)
    : answerWhole(forwarded, format, record);
}

/** Sallyport's own answers hold nothing to inspect. */
async function answerOwn(forwarded: Forwarded, record: ExchangeRecord): Promise<Answered> {
  const body = await readAll(forwarded.call, MAX_REPLY_BYTES);
  return { ...forwarded, fault: null, finish: () => sendWhole(forwarded, body, record) };
}

async function answerWhole(forwarded: Forwarded, format: ReplyFormat, record: ExchangeRecord): Promise<Answered> {
  record.time.pause();
  const body = await readAll(forwarded.call, MAX_REPLY_BYTES);
  record.time.resume();
  // The upstream is done with it: a slow client keeps none of its slots.
  forwarded.release(true);
  record.time.firstByte();
  const whole = format.readWhole(format.rebuild?.(body) ?? body, forwarded.instruction !== null);
  if (whole.kind === 'comment') {
    // Model management may have nothing to say; a model always has.
    if (forwarded.endpoint.action !== 'model.manage') throw unreadable('empty reply');
    return { ...forwarded, fault: null, finish: () => sendWhole(forwarded, Buffer.alloc(0), record) };
  }
  if (forwarded.head.mediaType !== 'application/json') throw unreadable('content-type of the reply');
  const relay = openRelay(forwarded, record);
  const out = [...relay.push([whole]), ...relay.end()];
  if (relay.broken === null && isSpoken(forwarded.endpoint)) relay.judgeSilence();
  const fault = relay.blocked ?? relay.broken;
  if (fault !== null) throw fault;
  const shown = out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  record.replied(shown, relay.facts);
  return { ...forwarded, fault: null, finish: () => sendWhole(forwarded, shown, record) };
}

/** Whether replies of an endpoint are words. */
function isSpoken({ action, id }: Endpoint): boolean {
  return action === 'model.infer' && id !== 'anthropic.count-tokens';
}

/** The reply's inspection, which the charge follows. */
function openRelay(
  { compiled, principal, guarding, servedAs, placeholders, call, charge, request, instruction }: Forwarded,
  record: ExchangeRecord,
): Relay {
  const exchange = {
    given: request?.texts ?? [],
    prompt: instruction?.prompt ?? null,
    canary: instruction?.canary ?? null,
  };
  // A reply is inspected while it grows: what is allowed in a whole text only does not count there.
  const allowed = compiled.allowances.of(principal.tenant)?.in(null, compiled.clock.now(), record.verdicts) ?? null;
  const relay = new Relay(guarding, servedAs, exchange, placeholders, record.verdicts, allowed);
  charge.follow(new Spent(call, relay));
  return relay;
}

/**
 * What an exchange has used so far. A class, since getters in an object literal make a hidden class of each object (V8), which lives in
 * the old generation and keeps the whole request alive until the next full collection.
 */
class Spent implements TokenSource {
  readonly #call: UpstreamCall;
  readonly #relay: Relay;

  constructor(call: UpstreamCall, relay: Relay) {
    this.#call = call;
    this.#relay = relay;
  }

  /** A translator has read the upstream's own figures; the client's dialect may have had to say 0 where they come late or not at all. */
  get usage(): Usage | null {
    return this.#call.usage === undefined ? this.#relay.usage : this.#call.usage;
  }

  get textBytes(): number {
    return this.#relay.textBytes;
  }
}

async function answerStream(
  forwarded: Forwarded,
  format: ReplyFormat,
  type: string,
  door: Door,
  record: ExchangeRecord,
): Promise<Answered> {
  const { call, head, guarding, incoming } = forwarded;
  if (head.mediaType !== type) throw unreadable('content-type of the stream');
  const stream = format.openStream({ maxEventBytes: MAX_EVENT_BYTES, secret: forwarded.instruction !== null });
  const relay = openRelay(forwarded, record);
  const sink = new StreamSink(forwarded, type, door, record, guarding.settings.mode === 'hold');
  let linger: NodeJS.Timeout | undefined;
  let proven = false;
  let stalledSince: number | null = null;
  try {
    for (;;) {
      const chunk = call.take() ?? (await nextOf(call, stream, record));
      if (chunk === null) break;
      if (incoming.reply.ended !== null) throw incoming.reply.ended;
      record.time.firstByte();
      const events = stream.push(chunk);
      if (events.length > 0) {
        stalledSince = null;
      } else {
        // A server that drips bytes is never idle and says nothing.
        stalledSince ??= door.clock.monotonic();
        if (door.clock.monotonic() - stalledSince > forwarded.idle) throw stalled();
      }
      const out = relay.push(events);
      if (relay.blocked !== null || relay.broken !== null) {
        await sink.accept(out, chunk, events);
        break;
      }
      if (!proven && events.length > 0) {
        // What can be read shows that the server is well, long before the end of a long answer.
        forwarded.judge(null);
        proven = true;
      }
      if (stream.finished) {
        // With the end marker the client has its answer, so that waits for the ledger.
        sink.hold();
        linger ??= setTimeout(() => call.abort(), LINGER);
      }
      const wait = sink.accept(out, chunk, events);
      if (wait !== null) {
        record.time.pause();
        await wait;
        record.time.resume();
      }
      const cut = forwarded.charge.flow();
      const overrun = cut instanceof Promise ? await cut : cut;
      if (overrun !== null) throw overrun;
    }
    if (relay.blocked === null && relay.broken === null) {
      const last = stream.end();
      // An end marker without its line end shows only here.
      if (stream.finished) sink.hold();
      await sink.accept([...relay.push(last), ...relay.end()], null, []);
      if (relay.broken === null && relay.blocked === null) {
        if (!stream.finished) relay.broken = unreadable('the stream has no end');
        else if (isSpoken(forwarded.endpoint)) relay.judgeSilence();
      }
    }
  } catch (error) {
    if (!(error instanceof Fault) || error.code === 'client_closed_request' || incoming.reply.gone) throw error;
    relay.broken = error;
    await sink.accept(relay.end(), null, []);
  } finally {
    clearTimeout(linger);
  }
  const fault = relay.blocked ?? relay.broken;
  // As above: what is still held is the client's to take.
  forwarded.release(fault === null);
  record.replied(sink.digest(), relay.facts);
  if (fault === null) sink.keep();
  // As long as the client has seen nothing, a fault is an ordinary answer with its status.
  if (fault !== null && !incoming.reply.headed) throw fault;
  return {
    ...forwarded,
    fault,
    finish: () => sink.finish(fault === null ? null : errorEvent(forwarded, format, fault)),
  };
}

/** The next chunk, or null at the end. After the end marker the answer is whole: how its connection ends no longer matters. */
async function nextOf(call: UpstreamCall, stream: ReplyStream, record: ExchangeRecord): Promise<Buffer | null> {
  record.time.pause();
  try {
    return await call.next();
  } catch (error) {
    if (stream.finished) return null;
    throw error;
  } finally {
    record.time.resume();
  }
}

/** Writes a stream to the client: at once, or in `hold` mode when all of it was judged. */
class StreamSink {
  readonly #forwarded: Forwarded;
  readonly #type: string;
  readonly #record: ExchangeRecord;
  readonly #digest: { update(bytes: Uint8Array): void; hex(): string };
  #held: Buffer[] | null;
  #heldBytes = 0;

  constructor(forwarded: Forwarded, type: string, door: Door, record: ExchangeRecord, hold: boolean) {
    this.#forwarded = forwarded;
    this.#type = type;
    this.#record = record;
    this.#digest = door.ledger.startDigest();
    this.#held = hold ? [] : null;
  }

  /** Returns a promise where the client must catch up first. `chunk` is what came in: it leaves as it is where nothing was changed. */
  accept(out: readonly Buffer[], chunk: Buffer | null, events: readonly ReplyEvent[]): Promise<void> | null {
    if (out.length === 0) return null;
    const bytes = join(out, chunk, events);
    this.#digest.update(bytes);
    if (this.#held === null) return this.#write(bytes);
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_REPLY_BYTES) throw unreadable('reply too large to hold');
    return null;
  }

  /** Keyed digest of the reply as the client gets it, an error event at its end aside. */
  digest(): string {
    return this.#digest.hex();
  }

  /** What is held is the client's to get once the exchange is on record. */
  keep(): void {
    for (const bytes of this.#held ?? []) this.#record.sent(bytes);
  }

  /** From here on everything is kept for `finish`. */
  hold(): void {
    this.#held ??= [];
  }

  /** The last bytes: what was held, or `trailer`, an error in place of it. No end marker comes after that: the client must see that it is cut. */
  async finish(trailer: Buffer | null): Promise<void> {
    const { reply } = this.#forwarded.incoming;
    for (const bytes of trailer === null ? (this.#held ?? []) : [trailer]) {
      const wait = this.#write(bytes);
      if (wait !== null) await wait;
    }
    if (!reply.headed) reply.begin(200, this.#type, overheadHeader(this.#record));
    reply.end();
  }

  #write(bytes: Buffer): Promise<void> | null {
    const { reply } = this.#forwarded.incoming;
    if (!reply.headed) reply.begin(200, this.#type, overheadHeader(this.#record));
    this.#record.sent(bytes);
    return reply.write(bytes);
  }
}

/** The common case, every event of a chunk unchanged and none left over, costs no copy. */
function join(out: readonly Buffer[], chunk: Buffer | null, events: readonly ReplyEvent[]): Buffer {
  if (out.length === 1 && out[0] !== undefined) return out[0];
  if (chunk !== null && out.length === events.length) {
    let size = 0;
    let same = true;
    for (let i = 0; i < out.length && same; i += 1) {
      same = out[i] === events[i]?.raw && (i > 0 || (out[i]?.buffer === chunk.buffer && out[i]?.byteOffset === chunk.byteOffset));
      size += out[i]?.length ?? 0;
    }
    if (same && size === chunk.length) return chunk;
  }
  return Buffer.concat(out);
}

function sendWhole({ incoming }: Forwarded, body: Buffer, record: ExchangeRecord): Promise<void> | null {
  return incoming.reply.send(200, body.length === 0 ? null : 'application/json', overheadHeader(record), body);
}

/** Milliseconds Sallyport has added so far; the name is part of the contract. */
function overheadHeader(record: ExchangeRecord): readonly string[] {
  return ['x-sallyport-overhead-ms', record.time.overhead().toFixed(2)];
}

function errorEvent({ endpoint }: Forwarded, format: ReplyFormat, fault: Fault): Buffer {
  return format.errorEvent({ message: fault.message, code: fault.code, type: errorType(endpoint.dialect, fault.status) });
}

function stalled(): Fault {
  return new Fault('upstream_timeout', 'The model server did not go on in time.', { detail: 'no event' });
}

function unreadable(detail: string): Fault {
  return new Fault('upstream_error', 'The model server sent an answer that could not be read.', { detail });
}
