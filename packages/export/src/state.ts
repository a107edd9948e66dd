import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, replaceFile } from '@sallyport/ledger';

/** Positions by name of the log: `seq` of the next entry. */
export type Positions = Readonly<Record<string, number>>;

/** What is known of an exporter, as its file says. */
export interface ExporterState {
  /** Everything before these positions was delivered, or is listed among the dead letters. */
  readonly next: Positions;
  /** End of the batch under way. After a crash exactly this batch is sent again, so that only its events can arrive twice. */
  readonly sending: Positions | null;
  readonly delivered: number;
  /** Events that went to the dead letters. */
  readonly dead: number;
  /** Why the last attempt failed, since when attempts fail, and how many did; null while deliveries succeed. */
  readonly failure: Failure | null;
  /** Epoch milliseconds of the last delivery. */
  readonly deliveredAt: number | null;
}

export interface Failure {
  readonly reason: string;
  readonly since: number;
  readonly attempts: number;
}

/** Entries `from` (inclusive) to `until` (exclusive) of a log that a destination will not get unless they are replayed. */
export interface DeadLetter {
  readonly at: string;
  readonly log: string;
  readonly from: number;
  readonly until: number;
  readonly reason: string;
}

const FRESH: ExporterState = { next: {}, sending: null, delivered: 0, dead: 0, failure: null, deliveredAt: null };

/** Where the exporters of a ledger keep their state, and their lock. */
export function exportersDirectory(ledger: string): string {
  return join(ledger, 'exporters');
}

/**
 * The files of one exporter: `cursor.json`, `dead.jsonl`, `replay.jsonl`. They hold numbers and reasons; the entries themselves are in the
 * ledger, which is the spool.
 */
export class ExporterFiles {
  readonly directory: string;

  constructor(ledger: string, name: string) {
    this.directory = join(exportersDirectory(ledger), 'destinations', name);
  }

  /** Null where the exporter never ran. @throws {StateDamaged} */
  async load(): Promise<ExporterState | null> {
    const text = await this.#read('cursor.json');
    if (text === null) return null;
    const value: unknown = parseJson(text);
    if (!isState(value)) throw new StateDamaged(join(this.directory, 'cursor.json'));
    return { ...FRESH, ...value };
  }

  async start(next: Positions): Promise<ExporterState> {
    const state = { ...FRESH, next };
    await this.save(state);
    return state;
  }

  async save(state: ExporterState): Promise<void> {
    await replaceFile(join(this.directory, 'cursor.json'), `${JSON.stringify(state)}\n`);
  }

  /** Durable before it returns: what is listed here is passed over from then on. */
  async bury(letters: readonly DeadLetter[]): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const lines = letters.map((letter) => `${JSON.stringify(letter)}\n`).join('');
    await using file = await open(join(this.directory, 'dead.jsonl'), 'a+', 0o600);
    const { size } = await file.stat();
    const last = size === 0 ? '\n' : (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString();
    // What a crash cut short must not take the next line with it.
    await file.appendFile(`${last === '\n' ? '' : '\n'}${lines}`);
    await file.datasync();
  }

  deadLetters(): Promise<DeadLetter[]> {
    return this.#letters('dead.jsonl');
  }

  /** Dead letters that are to be sent again. */
  replaying(): Promise<DeadLetter[]> {
    return this.#letters('replay.jsonl');
  }

  /** Hands all dead letters over to be sent again. False where an earlier replay is not done yet. */
  async replay(): Promise<boolean> {
    if ((await this.#read('replay.jsonl')) !== null) return false;
    await rename(join(this.directory, 'dead.jsonl'), join(this.directory, 'replay.jsonl'));
    return true;
  }

  async replayed(): Promise<void> {
    await rm(join(this.directory, 'replay.jsonl'), { force: true });
  }

  async #letters(name: string): Promise<DeadLetter[]> {
    const text = (await this.#read(name)) ?? '';
    // A line that a crash cut short names nothing: its events were not passed over, see `bury`.
    return text.split('\n').flatMap((line) => {
      const value: unknown = parseJson(line);
      return isLetter(value) ? [value] : [];
    });
  }

  async #read(name: string): Promise<string | null> {
    try {
      return await readFile(join(this.directory, name), 'utf8');
    } catch (error) {
      if (isCode(error, 'ENOENT')) return null;
      throw error;
    }
  }
}

/** The cursor is not one that this program wrote. Nothing is sent, rather than everything again. */
export class StateDamaged extends Error {
  override readonly name: string = 'StateDamaged';

  constructor(path: string) {
    super(`${path} is not a cursor; remove it to have the exporter begin anew`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPositions(value: unknown): value is Positions {
  return isObject(value) && Object.values(value).every((seq) => Number.isSafeInteger(seq) && Number(seq) >= 0);
}

function isState(value: unknown): value is Partial<ExporterState> {
  return isObject(value) && isPositions(value['next']) && (value['sending'] === null || isPositions(value['sending']));
}

function isLetter(value: unknown): value is DeadLetter {
  return isObject(value) && typeof value['log'] === 'string' && Number.isSafeInteger(value['from']) && Number.isSafeInteger(value['until']);
}
