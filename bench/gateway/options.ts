import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SERVE_OPTIONS } from '../measure.ts';
import { PEERS } from './peers.ts';

const PARTS = ['throughput', 'latency', 'streams', 'startup'] as const;
export type Part = (typeof PARTS)[number];

const HELP = `npm run bench gateway -- [options]

Measures proxies side by side on this machine: one core for the proxy, the others for wrk and the upstream.

  --only A,B         peers: ${PEERS.map((peer) => peer.name).join(', ')} (default: all that are installed)
  --parts A,B        ${PARTS.join(', ')} (default: all)
  --seconds N        length of one measurement (default 5)
  --warmup N         seconds before the first one, for each peer: what a just-in-time compiler needs before it is as fast as it gets (default 15)
  --rounds N         alternating rounds, of which the median counts (default 5)
  --retries N        how often a sample is repeated in which other programs took more than a tenth of the core (default 3)
  --sizes A,B        bytes of a request (default 2048,32768)
  --connections N    concurrent connections (default 64)
  --streams N        concurrent streams (default 1000)
  --tokens N         chunks in a stream (default 200)
  --per-second N     chunks a second in each stream (default 10)
  --sallyport CMD    command line of Sallyport before the verb, split at spaces (default: the bundle of this repository)
  --json             results as JSON on standard output; messages go to standard error

Example: npm run bench gateway -- --only nginx,sallyport --parts throughput --seconds 3 --rounds 3
`;

export interface Options {
  readonly only: readonly string[] | null;
  readonly parts: readonly Part[];
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  readonly retries: number;
  readonly sizes: readonly number[];
  readonly connections: number;
  readonly streams: number;
  readonly tokens: number;
  readonly perSecond: number;
  readonly sallyport: readonly string[];
  readonly json: boolean;
}

/** Null where help was asked for or the use was wrong; both are said then. */
export function readOptions(args: string[]): Options | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: 'string' },
        parts: { type: 'string', default: PARTS.join(',') },
        seconds: { type: 'string', default: '5' },
        warmup: { type: 'string', default: '15' },
        rounds: { type: 'string', default: '5' },
        retries: { type: 'string', default: '3' },
        sizes: { type: 'string', default: '2048,32768' },
        connections: { type: 'string', default: '64' },
        streams: { type: 'string', default: '1000' },
        tokens: { type: 'string', default: '200' },
        'per-second': { type: 'string', default: '10' },
        sallyport: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return null;
    }
    const known = PEERS.map((peer) => peer.name);
    return {
      only: values.only === undefined ? null : values.only.split(',').map((name) => oneOf('--only', known, name)),
      parts: values.parts.split(',').map((name) => oneOf('--parts', PARTS, name)),
      seconds: positive('--seconds', values.seconds),
      warmupSeconds: Number(values.warmup) === 0 ? 0 : positive('--warmup', values.warmup),
      rounds: positive('--rounds', values.rounds),
      retries: Number(values.retries) === 0 ? 0 : positive('--retries', values.retries),
      sizes: values.sizes.split(',').map((size) => positive('--sizes', size)),
      connections: positive('--connections', values.connections),
      streams: positive('--streams', values.streams),
      tokens: positive('--tokens', values.tokens),
      perSecond: positive('--per-second', values['per-second']),
      sallyport: values.sallyport?.split(' ') ?? [
        process.execPath,
        ...SERVE_OPTIONS,
        fileURLToPath(new URL('../../dist/sallyport.mjs', import.meta.url)),
      ],
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exitCode = 2;
    return null;
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${option} takes a whole number above 0, not ${text}`);
  return value;
}

export function oneOf<T extends string>(option: string, known: readonly T[], name: string): T {
  const found = known.find((candidate) => candidate === name);
  if (found === undefined) throw new RangeError(`${option} knows ${known.join(', ')}, not ${name}`);
  return found;
}
