import { BareEvent, type Payload, ReadEvent } from './event.ts';
import type { ReplyEvent, ReplyStream, ReplyText } from './format.ts';
import type { Framer } from './framer.ts';
import { Session } from './reading.ts';

/** No server keeps more texts open in one reply; a hostile one may not make us remember more. */
const MAX_CHANNELS = 4096;

/** Which growing texts of a stream are open and which have ended. */
class Channels {
  readonly #open = new Set<string>();
  readonly #ended = new Set<string>();

  /** False where a delta comes on a channel that has ended, or on one too many. */
  admit(texts: readonly ReplyText[]): boolean {
    for (const { channel, mode } of texts) {
      if (mode === 'whole' || this.#open.has(channel)) continue;
      if (this.#hasEnded(channel) || this.#open.size + this.#ended.size >= MAX_CHANNELS) return false;
      this.#open.add(channel);
    }
    return true;
  }

  /** Ends channels by name or by their beginning, and names those that were open. */
  end(names: readonly string[]): string[] {
    const closed: string[] = [];
    for (const name of names) {
      if (this.#ended.has(name)) continue;
      if (this.#open.delete(name)) closed.push(name);
      const beginning = name === '' ? '' : `${name}/`;
      for (const channel of this.#open) {
        if (!channel.startsWith(beginning)) continue;
        this.#open.delete(channel);
        closed.push(channel);
      }
      if (this.#ended.size < MAX_CHANNELS) this.#ended.add(name);
    }
    return closed;
  }

  #hasEnded(channel: string): boolean {
    if (this.#ended.size === 0) return false;
    if (this.#ended.has(channel) || this.#ended.has('')) return true;
    for (let slash = channel.indexOf('/'); slash >= 0; slash = channel.indexOf('/', slash + 1)) {
      if (this.#ended.has(channel.slice(0, slash))) return true;
    }
    return false;
  }
}

/** Reads the bytes of one event; null where they are malformed. */
export type ReadFrame = (raw: Buffer, isFirst: boolean, session: Session) => Payload | null;

/** A reply stream of any dialect: frames are cut by the framer and read one by one. */
export class FramedStream implements ReplyStream {
  finished = false;
  readonly #framer: Framer;
  readonly #read: ReadFrame;
  readonly #session: Session;
  readonly #channels = new Channels();
  #isFirst = true;

  constructor(framer: Framer, read: ReadFrame, secret: boolean) {
    this.#session = new Session(secret);
    this.#framer = framer;
    this.#read = read;
  }

  push(chunk: Buffer): ReplyEvent[] {
    const events: ReplyEvent[] = [];
    for (const raw of this.#framer.push(chunk)) events.push(this.#event(raw));
    return events;
  }

  /**
   * What no boundary followed is read as the end marker or as malformed: half an event is none (WHATWG HTML, section 9.2.6), and an error
   * event behind it would become part of its line.
   */
  end(): ReplyEvent[] {
    const raw = this.#framer.end();
    if (raw === null) return [];
    const wasFinished = this.finished;
    const event = this.#event(raw);
    return [!wasFinished && this.finished ? event : new BareEvent(raw, 'malformed')];
  }

  #event(raw: Buffer): ReplyEvent {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    const payload = this.#read(raw, isFirst, this.#session);
    if (payload === null || !this.#channels.admit(payload.reading.texts)) return new BareEvent(raw, 'malformed');
    const { reading, kind } = payload;
    if (reading.isDone || reading.isLast) {
      this.finished = true;
      reading.closes.push('');
    }
    const closes = reading.closes.length === 0 ? reading.closes : this.#channels.end(reading.closes);
    return reading.isBare ? new BareEvent(raw, kind, closes) : new ReadEvent(raw, kind, reading, payload.frame, closes);
  }
}

/** The one event that a whole reply is. All of its growing texts end with it. */
export function wholeEvent(body: Buffer, payload: Payload | null): ReplyEvent {
  if (payload === null) return new BareEvent(body, 'malformed');
  const channels = new Channels();
  const { reading, kind, frame } = payload;
  if (!channels.admit(reading.texts)) return new BareEvent(body, 'malformed');
  return new ReadEvent(body, kind, reading, frame, channels.end(['']));
}
