/** Bounds on what one file may cost. Reaching one is a finding, and the file is then never clean. */
export interface Limits {
  /** Containers inside containers. */
  readonly depth: number;
  /** Entries of one archive. */
  readonly entries: number;
  /** Decompressed bytes over compressed bytes of one stream, once more than `ratioFloor` bytes came out. */
  readonly ratio: number;
  readonly ratioFloor: number;
  /** Bytes that all decompressed parts of one file may take together; they are held in memory up to `memory`, then in a temporary file. */
  readonly expanded: number;
  readonly memory: number;
  /** Milliseconds of work on one file, hashing apart. */
  readonly time: number;
  /**
   * Steps that cost more than passing over bytes: fields of messages, and with a weight of `COST` imports, pickles one after another or inside
   * strings, and findings.
   */
  readonly work: number;
  /** Bytes of one header or document that is read whole: a safetensors header, JSON whose keys matter to a loader. */
  readonly document: number;
  /** Values a pickle may have at once on its stack, and objects in its memo. */
  readonly values: number;
  /** Bytes by which the JavaScript heap may grow while a pickle is walked. */
  readonly heap: number;
  /** Findings kept for one file; the verdict counts those beyond too. */
  readonly findings: number;
}

export const DEFAULT_LIMITS: Limits = {
  depth: 5,
  entries: 100_000,
  ratio: 200,
  ratioFloor: 8 * 2 ** 20,
  expanded: 64 * 2 ** 30,
  memory: 24 * 2 ** 20,
  time: 300_000,
  work: 4_000_000,
  document: 16 * 2 ** 20,
  values: 4_000_000,
  heap: 72 * 2 ** 20,
  findings: 200,
};

/** What a step takes of `Limits.work`: about the same time for each unit. */
export const COST = {
  field: 1,
  scalar: 0.0625,
  import: 12,
  pickle: 4,
  array: 16,
  attempt: 4,
  stream: 40,
  member: 120,
  discarded: 4,
  letter: 1,
  finding: 16,
} as const;

/** Stops a scan at a limit; `rule` becomes the finding. Thrown inside the scanner only. */
export class LimitReached extends Error {
  override readonly name: string = 'LimitReached';
  readonly rule:
    | 'limit-ratio'
    | 'limit-expanded'
    | 'limit-time'
    | 'limit-work'
    | 'limit-entries'
    | 'limit-document'
    | 'limit-values'
    | 'source-partial';
  constructor(rule: LimitReached['rule'], message: string) {
    super(message);
    this.rule = rule;
  }
}
