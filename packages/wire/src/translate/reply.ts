import { Fault, type Usage } from '@sallyport/core';
import type { JsonObject } from '../json/document.ts';
import { type Payload, type ReadObject, readJson, readSse } from '../reply/event.ts';
import { EmptyLineBoundary, Framer } from '../reply/framer.ts';
import { type Reading, Session } from '../reply/reading.ts';
import type { ReplyTranslator } from './translation.ts';
import { type Block, BlockRow, type BlockStep, type TurnEnd, type TurnEvent, unreadable } from './turn.ts';

/** Reads a server's reply (untrusted, but found well formed by `validate`) as events of a turn. */
export interface TurnReader {
  /** Checks one event, or a whole reply where `streamed` is false, and counts tokens. */
  readonly validate: ReadObject;
  readonly validateWhole: ReadObject;
  /** Whether events carry their name beside the payload. */
  readonly isNamed: boolean;
  read(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void;
  readWhole(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void;
  /** The end marker of the stream came. Throws `Fault('upstream_error')` where the turn has not ended. */
  end(): TurnEnd;
  /** What is known of usage so far. */
  readonly usage: Usage | null;
}

/** Writes a turn in a client's dialect. */
export interface TurnWriter {
  /** Frames of the stream, each ready to be sent: before the first block, for a step of a block, and after the last. */
  start(): string[];
  step(step: BlockStep): string[];
  end(end: TurnEnd, blocks: readonly Block[]): string[];
  /** The whole reply. */
  whole(end: TurnEnd, blocks: readonly Block[]): object;
}

/** Largest event of a server's stream, bytes; the same bound as for one that is passed on. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

function brokenOff(): Fault {
  return new Fault('upstream_error', 'The model server broke off its answer.', { detail: 'stream event: error' });
}

/** A reply of one turn: framed, checked, read, put in a row of blocks, and written again. */
export class TurnTranslator implements ReplyTranslator {
  fault: Fault | null = null;
  readonly #reader: TurnReader;
  readonly #writer: TurnWriter;
  readonly #framer = new Framer(new EmptyLineBoundary(), MAX_EVENT_BYTES);
  readonly #session = new Session();
  readonly #row: BlockRow;
  readonly #blocks: Block[] = [];
  /** What the event now read holds; null for a bare marker such as `[DONE]`. */
  #root: JsonObject | null = null;
  #isFirst = true;
  #started = false;
  #ended = false;

  constructor(reader: TurnReader, writer: TurnWriter, id: string) {
    this.#reader = reader;
    this.#writer = writer;
    this.#row = new BlockRow(id);
  }

  get usage(): Usage | null {
    return this.#reader.usage;
  }

  push(chunk: Buffer): Buffer[] {
    return this.#guarded((out) => {
      for (const raw of this.#framer.push(chunk)) this.#event(raw, out);
    });
  }

  end(): Buffer[] {
    return this.#guarded((out) => {
      const raw = this.#framer.end();
      if (raw !== null) this.#event(raw, out);
      if (!this.#ended) throw unreadable('the stream has no end');
    });
  }

  whole(body: Buffer): Buffer {
    const payload = readJson(body, true, this.#session, false, (reading, root) => {
      this.#root = root;
      this.#reader.validateWhole(reading, root);
    });
    if (payload === null || payload.kind === 'comment') throw unreadable('reply');
    if (payload.kind === 'error') throw brokenOff();
    const events: TurnEvent[] = [];
    if (this.#root === null) throw unreadable('reply');
    this.#reader.readWhole(this.#root, payload.reading.usage, events);
    const end = this.#reader.end();
    const steps: BlockStep[] = [];
    for (const event of events) this.#row.push(event, steps);
    this.#row.end(steps, end.finish === 'length');
    const blocks = steps.flatMap(({ step, block }) => (step === 'close' ? [block] : []));
    return Buffer.from(JSON.stringify(this.#writer.whole(end, blocks)));
  }

  /** What came before a fault is given out first; the fault itself then comes with the next call. */
  #guarded(work: (out: Buffer[]) => void): Buffer[] {
    if (this.fault !== null) throw this.fault;
    const out: Buffer[] = [];
    try {
      work(out);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.fault = error;
      if (out.length === 0) throw error;
    }
    return out;
  }

  #event(raw: Buffer, out: Buffer[]): void {
    const payload = this.#read(raw);
    if (payload === null) throw unreadable('stream event: malformed');
    if (payload.kind === 'comment') return;
    if (payload.kind === 'error') throw brokenOff();
    if (this.#ended) throw unreadable('event after the end');
    if (!this.#started) {
      this.#started = true;
      write(this.#writer.start(), out);
    }
    const events: TurnEvent[] = [];
    if (this.#root !== null) this.#reader.read(this.#root, payload.reading.usage, events);
    const steps: BlockStep[] = [];
    for (const event of events) this.#row.push(event, steps);
    this.#write(steps, out);
    if (payload.kind === 'done') this.#finish(out);
  }

  #read(raw: Buffer): Payload | null {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    this.#root = null;
    return readSse(raw, isFirst, this.#session, this.#capture, this.#reader.isNamed);
  }

  readonly #capture = (reading: Reading, root: JsonObject): void => {
    this.#root = root;
    this.#reader.validate(reading, root);
  };

  #finish(out: Buffer[]): void {
    const end = this.#reader.end();
    const steps: BlockStep[] = [];
    this.#row.end(steps, end.finish === 'length');
    this.#write(steps, out);
    this.#ended = true;
    write(this.#writer.end(end, this.#blocks), out);
  }

  #write(steps: readonly BlockStep[], out: Buffer[]): void {
    for (const step of steps) {
      if (step.step === 'close') this.#blocks.push(step.block);
      write(this.#writer.step(step), out);
    }
  }
}

function write(frames: readonly string[], out: Buffer[]): void {
  for (const frame of frames) out.push(Buffer.from(frame));
}
