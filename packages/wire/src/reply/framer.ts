import { Fault } from '@sallyport/core';

const LF = 10;
const CR = 13;
const NOTHING = Buffer.alloc(0);

/** Finds where an event ends. Keeps its state between chunks, so that an event may be cut anywhere. */
export interface Boundary {
  /** Offset in `chunk` just past the event that is open at `from`, or -1 where it goes on in the next chunk. */
  next(chunk: Buffer, from: number): number;
}

/**
 * Ends an event at an empty line (WHATWG HTML, section 9.2.6). Lines end in LF, CR or CRLF, also mixed in one stream. A CR that closes an
 * event waits for the byte after it, because a LF there belongs to the same line end; so events do not depend on how the stream is cut.
 */
export class EmptyLineBoundary implements Boundary {
  #lineIsEmpty = true;
  #afterCr = false;
  #closedByCr = false;
  #chunkHasCr = false;

  next(chunk: Buffer, from: number): number {
    if (from === 0) this.#chunkHasCr = chunk.indexOf(CR) >= 0;
    for (let i = from; i < chunk.length; i++) {
      if (!this.#lineIsEmpty && !this.#chunkHasCr) {
        i = chunk.indexOf(LF, i);
        if (i < 0) return -1;
      }
      const byte = chunk[i];
      if (this.#afterCr) {
        this.#afterCr = false;
        if (this.#closedByCr) {
          this.#closedByCr = false;
          return byte === LF ? i + 1 : i;
        }
        if (byte === LF) continue;
      }
      if (byte === LF) {
        if (this.#lineIsEmpty) return i + 1;
        this.#lineIsEmpty = true;
      } else if (byte === CR) {
        this.#afterCr = true;
        this.#closedByCr = this.#lineIsEmpty;
        this.#lineIsEmpty = true;
      } else {
        this.#lineIsEmpty = false;
      }
    }
    return -1;
  }
}

/** Ends an event at every LF: newline-delimited JSON. A CR before it is white space of JSON. */
export class LineBoundary implements Boundary {
  next(chunk: Buffer, from: number): number {
    return chunk.indexOf(LF, from) + 1 || -1;
  }
}

/**
 * Cuts a byte stream into events, bounded. An event that lies in one chunk is a view of it; only one that spans chunks is copied, into a
 * buffer that doubles, so that a stream of single bytes costs linear time and memory.
 */
export class Framer {
  readonly #boundary: Boundary;
  readonly #maxEventBytes: number;
  #held: Buffer = NOTHING;
  #heldLength = 0;
  #fault: Fault | null = null;

  constructor(boundary: Boundary, maxEventBytes: number) {
    this.#boundary = boundary;
    this.#maxEventBytes = maxEventBytes;
  }

  /**
   * The events that `chunk` completes. Throws `Fault('upstream_error')` for an event larger than the bound, after the events before it
   * were given out: the fault then comes with the next call.
   */
  push(chunk: Buffer): Buffer[] {
    if (this.#fault !== null) throw this.#fault;
    const events: Buffer[] = [];
    let from = 0;
    while (from < chunk.length) {
      const end = this.#boundary.next(chunk, from);
      const until = end < 0 ? chunk.length : end;
      if (this.#heldLength + until - from > this.#maxEventBytes) {
        this.#held = NOTHING;
        this.#heldLength = 0;
        this.#fault = new Fault('upstream_error', 'The model server sent an event larger than allowed.', {
          detail: `event larger than ${this.#maxEventBytes} bytes`,
        });
        if (events.length === 0) throw this.#fault;
        return events;
      }
      if (end < 0) {
        this.#hold(chunk, from, until);
        break;
      }
      if (this.#heldLength === 0) {
        events.push(chunk.subarray(from, end));
      } else {
        this.#hold(chunk, from, end);
        events.push(this.#take());
      }
      from = end;
    }
    return events;
  }

  /** The stream ended: the bytes that no boundary followed, or null where there are none. */
  end(): Buffer | null {
    if (this.#fault !== null) throw this.#fault;
    return this.#heldLength === 0 ? null : this.#take();
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const length = this.#heldLength + to - from;
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, length, this.#held.length * 2));
      this.#held.copy(larger, 0, 0, this.#heldLength);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldLength, from, to);
    this.#heldLength = length;
  }

  #take(): Buffer {
    const event = this.#held.subarray(0, this.#heldLength);
    this.#held = NOTHING;
    this.#heldLength = 0;
    return event;
  }
}
