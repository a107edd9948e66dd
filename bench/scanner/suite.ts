import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { digestFile, scanPath } from '../../packages/scanner/src/index.ts';
import type { Listener } from '../../packages/scanner/src/pickle/listener.ts';
import { Machine } from '../../packages/scanner/src/pickle/machine.ts';
import { bufferSource } from '../../packages/scanner/src/source.ts';
import { HOSTILE } from './hostile.ts';

const COMMAND: string = fileURLToPath(new URL('../../packages/cli/bin/sallyport.mjs', import.meta.url));
const SMALL_FILES = 10_000;
const GIGA = 1e9;
const MEBIBYTE = 2 ** 20;
const USAGE = `usage: npm run bench scanner -- [--picklescan FILE]
  --picklescan FILE   the picklescan command to compare with (pip install picklescan); default: the one on PATH`;

/** Speed of the model scanner: headers of a set of 70 GB, digests beside openssl, pickle instructions, many small files beside picklescan. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { picklescan: { type: 'string', default: 'picklescan' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-scanner-'));
  try {
    say(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`);
    await headers(folder);
    hashing(folder);
    instructions();
    smallFiles(folder, values.picklescan);
    hostile(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Each in a process of its own, of which the peak is that of one file. */
function hostile(folder: string): void {
  const file = join(folder, 'hostile');
  const program = fileURLToPath(new URL('one.ts', import.meta.url));
  for (const [name, make] of HOSTILE) {
    const bytes = make();
    writeFileSync(file, bytes);
    const { stdout, status } = spawnSync(process.execPath, [program, file], { encoding: 'utf8', timeout: 120_000 });
    if (status !== 0) throw new Error(`the scan of ${name} ended with ${status}`);
    const { cpu, peak, verdict, rules } = JSON.parse(stdout) as { cpu: number; peak: number; verdict: string; rules: string[] };
    const size = (bytes.length / MEBIBYTE).toFixed(0);
    say(`${cpu.toFixed(2)} s CPU, ${peak.toFixed(0)} MiB: ${name}, ${size} MiB: ${verdict} ${rules.join(' ')}`);
  }
}

/** Wall and CPU seconds of a piece of work; on a busy machine only the second says much. */
async function timed<T>(work: () => T | Promise<T>): Promise<{ readonly value: T; readonly wall: number; readonly cpu: number }> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { value, wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}

/** Fourteen sparse files of 5 GB each: real headers, and holes where the weights would be. */
async function headers(folder: string): Promise<void> {
  const size = 5 * GIGA;
  for (const kind of ['safetensors', 'gguf'] as const) {
    const files = Array.from({ length: 14 }, (_, index) => join(folder, `${kind}-${index}`));
    for (const file of files) {
      const descriptor = openSync(file, 'w');
      const head = kind === 'safetensors' ? safetensorsHeader(size) : ggufHeader(size);
      writeSync(descriptor, head.bytes);
      ftruncateSync(descriptor, head.end);
      closeSync(descriptor);
    }
    const { value, wall, cpu } = await timed(async () => {
      const verdicts: string[] = [];
      for (const file of files) verdicts.push((await scanPath(file, { hash: false })).verdict);
      return verdicts;
    });
    if (value.some((verdict) => verdict !== 'clean')) throw new Error(`the ${kind} files are not clean: ${value.join(' ')}`);
    say(`headers of 14 ${kind} files, 70 GB: ${(wall * 1000).toFixed(0)} ms (CPU ${(cpu * 1000).toFixed(0)} ms; goal 1000 ms)`);
    for (const file of files) rmSync(file);
  }
}

const TENSORS = 500;

function safetensorsHeader(size: number): { bytes: Buffer; end: number } {
  const each = Math.floor(size / TENSORS / 2) * 2;
  const header = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        Array.from({ length: TENSORS }, (_, index) => [
          `model.layers.${index}.weight`,
          { dtype: 'BF16', shape: [each / 2], data_offsets: [index * each, (index + 1) * each] },
        ]),
      ),
    ),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return { bytes: Buffer.concat([length, header]), end: 8 + header.length + TENSORS * each };
}

function ggufHeader(size: number): { bytes: Buffer; end: number } {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
  const elements = Math.floor(size / TENSORS / 64) * 16;
  const tokens = Array.from({ length: 128_000 }, (_, index) => text(`token${index}`));
  const infos = Array.from({ length: TENSORS }, (_, index) =>
    Buffer.concat([text(`blk.${index}.w`), u32(1), u64(elements), u32(0), u64(index * elements * 4)]),
  );
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(TENSORS),
    u64(1),
    text('tokenizer.ggml.tokens'),
    u32(9),
    u32(8),
    u64(tokens.length),
    ...tokens,
    ...infos,
  ]);
  const bytes = Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32)]);
  return { bytes, end: bytes.length + TENSORS * elements * 4 };
}

function hashing(folder: string): void {
  const file = join(folder, 'large');
  const descriptor = openSync(file, 'w');
  const chunk = Buffer.alloc(16 * MEBIBYTE, 0x5a);
  for (let written = 0; written < 1024 * MEBIBYTE; written += chunk.length) writeSync(descriptor, chunk);
  closeSync(descriptor);
  const ours: number[] = [];
  const theirs: number[] = [];
  let digest = '';
  // Alternating, so that what else the machine does hits both; the best of each counts. CPU time, as both are one thread on one file.
  for (let round = 0; round < 5; round += 1) {
    const cpu = process.cpuUsage();
    digest = digestFile(file).sha256;
    const { user, system } = process.cpuUsage(cpu);
    ours.push((user + system) / 1e6);
    const start = performance.now();
    const result = spawnSync('bash', ['-c', 'TIMEFORMAT="%U %S"; time openssl dgst -sha256 "$1"', 'bash', file]);
    const [userTime = 0, systemTime = 0] = result.stderr.toString().trim().split(/\s+/).slice(-2).map(Number);
    if (!result.stdout.toString().trim().endsWith(digest)) throw new Error('openssl has another digest');
    theirs.push(userTime + systemTime > 0 ? userTime + systemTime : (performance.now() - start) / 1000);
  }
  const rate = (seconds: readonly number[]): number => (1024 * MEBIBYTE) / GIGA / Math.min(...seconds);
  say(
    `sha256 of 1 GiB, CPU time of one thread: ${rate(ours).toFixed(2)} GB/s, openssl dgst ${rate(theirs).toFixed(2)} GB/s: ${((100 * rate(ours)) / rate(theirs)).toFixed(0)} % (goal 90 %)`,
  );
  rmSync(file);
}

const SILENT: Listener = {
  imported: () => undefined,
  called: () => undefined,
  built: () => undefined,
  filled: () => undefined,
  literal: () => undefined,
  anomaly: () => undefined,
  skip: (_, offset) => offset,
  tick: () => undefined,
};

/** The walk alone, on what fills real pickles: integers in lists, words with memo, tuples in dicts, protocol 0. */
function instructions(): void {
  // Picklers write a thousand items to an instruction that adds them.
  const batches = (item: string, add: string, count: number): string => `(${item.repeat(1000)}${add}`.repeat(count / 1000);
  const streams: readonly (readonly [string, Buffer])[] = [
    ['integers', Buffer.from(`\x80\x04]${batches('K\x01M\x01\x02', 'e', 4_000_000)}.`, 'latin1')],
    ['words', Buffer.from(`\x80\x04}${batches('\x8c\x05hello\x94K\x07', 'u', 1_500_000)}.`, 'latin1')],
    ['tuples', Buffer.from(`\x80\x04]${batches('K\x01K\x02\x86', 'e', 1_500_000)}.`, 'latin1')],
    ['protocol 0', Buffer.from(`(lp0\n${'I12345\naF0.5\na'.repeat(1_000_000)}.`, 'latin1')],
  ];
  for (const [name, bytes] of streams) {
    let best = 0;
    for (let round = 0; round < 5; round += 1) {
      const cpu = process.cpuUsage();
      const end = new Machine(bufferSource(bytes), 0, SILENT).run();
      const { user } = process.cpuUsage(cpu);
      if (!end.stopped) throw new Error(`the ${name} stream breaks off: ${end.reason}`);
      best = Math.max(best, end.instructions / user);
    }
    say(`pickle walk, ${name}: ${best.toFixed(0)} million instructions a CPU second (goal 20)`);
  }
}

/** What each of two commands costs over one directory, the whole process with its children; the best of three rounds in turn. */
function smallFiles(folder: string, picklescan: string): void {
  for (const words of [40, 400]) {
    const many = join(folder, `many-${words}`);
    mkdirSync(many);
    let bytes = 0;
    for (let index = 0; index < SMALL_FILES; index += 1) {
      const items = Array.from({ length: words }, (_, word) => `\x8c\x08w${String(index * words + word).padStart(7, '0')}\x94K\x07`).join(
        '',
      );
      const content = Buffer.from(`\x80\x04}(${items}u\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R0.`, 'latin1');
      bytes = content.length;
      writeFileSync(join(many, `${index}.pkl`), content);
    }
    const ours: Cost[] = [];
    const theirs: Cost[] = [];
    for (let round = 0; round < 3; round += 1) {
      const scan = cost(process.execPath, [COMMAND, 'models', 'scan', many, '--json', '--no-record']);
      if (scan === null || scan.status !== 0) throw new Error('the small files are not clean');
      ours.push(scan);
      const peer = cost(picklescan, ['--path', many]);
      if (peer !== null) theirs.push(peer);
    }
    say(`10,000 pickles of ${bytes} bytes, sallyport models scan with digests: ${showCost(ours)}`);
    if (theirs.length === 0) say(`  picklescan is not installed (${picklescan}): not compared`);
    else {
      const ratio = (of: 'wall' | 'cpu'): string => (least(theirs, of) / least(ours, of)).toFixed(1);
      say(
        `  picklescan, which digests nothing: ${showCost(theirs)}: ${ratio('wall')} times as long (goal 10), ${ratio('cpu')} times the CPU time`,
      );
    }
    rmSync(many, { recursive: true });
  }
}

interface Cost {
  readonly wall: number;
  readonly cpu: number;
  readonly status: number | null;
}

/** Runs a command under bash's `time`. Null where there is no such command. */
function cost(command: string, args: readonly string[]): Cost | null {
  const { stderr, status } = spawnSync('bash', ['-c', 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null', 'bash', command, ...args], {
    maxBuffer: 2 ** 28,
  });
  if (status === 127) return null;
  const [wall = 0, user = 0, system = 0] = stderr.toString().trim().split(/\s+/).slice(-3).map(Number);
  return { wall, cpu: user + system, status };
}

function least(costs: readonly Cost[], of: 'wall' | 'cpu'): number {
  return Math.min(...costs.map((each) => each[of]));
}

function showCost(costs: readonly Cost[]): string {
  return `${least(costs, 'wall').toFixed(2)} s (CPU ${least(costs, 'cpu').toFixed(2)} s)`;
}
