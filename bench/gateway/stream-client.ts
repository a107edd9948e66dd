/**
 * Opens many streams at once over bare sockets and measures how old each chunk is when it arrives:
 * `node stream-client.ts PORT STREAMS HEADERS_JSON`, request body on standard input. Prints `open` when all streams have begun and one
 * line of JSON when all have ended.
 */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { quantile } from '../measure.ts';
import { monotonicMicroseconds } from './stamp.ts';

/** Times are microseconds. */
export interface StreamResult {
  readonly chunks: number;
  readonly completed: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly firstByteP50: number;
  /** From the first connection to the last end. */
  readonly wall: number;
  /** Processor time of this client. */
  readonly clientCpu: number;
}

const [port = '0', streams = '1', headersText = '{}'] = process.argv.slice(2);
const headers: Record<string, string> = JSON.parse(headersText);
const body = await text(process.stdin);
const MARK = Buffer.from('"system_fingerprint":"t');
const STAMP_DIGITS = 20;
const DONE = Buffer.from('data: [DONE]');
const OPENING_GAP_MS = 1;
const IDLE_LIMIT_MS = 15_000;

const ages: number[] = [];
const firstBytes: number[] = [];
let completed = 0;
let failed = 0;
let begun = 0;

const request = Buffer.from(
  `POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.example\r\nuser-agent: bench/1.0\r\naccept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${Object.entries(
    headers,
  )
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n${body}`,
);

function openStream(): Promise<void> {
  return new Promise((resolve) => {
    const openedAt = monotonicMicroseconds();
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(request));
    let rest: Buffer = Buffer.alloc(0);
    let started = false;
    let whole = false;
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_LIMIT_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const now = monotonicMicroseconds();
      if (!started) {
        started = true;
        begun++;
        firstBytes.push(now - openedAt);
        if (begun === Number(streams)) process.stdout.write('open\n');
      }
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = bytes.indexOf(MARK);
      let end = 0;
      while (at >= 0 && at + MARK.length + STAMP_DIGITS <= bytes.length) {
        end = at + MARK.length;
        ages.push(now - Number.parseInt(bytes.toString('latin1', end, end + STAMP_DIGITS), 10));
        at = bytes.indexOf(MARK, end);
      }
      if (bytes.indexOf(DONE, Math.max(0, end)) >= 0) {
        whole = true;
        socket.destroy();
      }
      // A mark that may be cut; nothing before it is needed again.
      rest = at >= 0 ? bytes.subarray(at) : bytes.subarray(Math.max(end, bytes.length - MARK.length));
    });
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      if (whole) completed++;
      else failed++;
      resolve();
    });
  });
}

const startedAt = monotonicMicroseconds();
const all: Promise<void>[] = [];
for (let index = 0; index < Number(streams); index++) {
  all.push(openStream());
  // Opening a thousand connections at once measures the accept queue, not the proxy.
  await new Promise((resolve) => setTimeout(resolve, OPENING_GAP_MS));
}
await Promise.all(all);
const wall = monotonicMicroseconds() - startedAt;
const { user, system } = process.cpuUsage();
const result: StreamResult = {
  chunks: ages.length,
  completed,
  failed,
  p50: quantile(ages, 0.5),
  p99: quantile(ages, 0.99),
  firstByteP50: quantile(firstBytes, 0.5),
  wall,
  clientCpu: user + system,
};
process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
