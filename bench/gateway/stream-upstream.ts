/**
 * An upstream that streams: `node stream-upstream.ts PORT TOKENS PER_SECOND`. Answers every POST with a chat stream of TOKENS chunks at
 * PER_SECOND a second, each stamped with the time it was written. Streams are spread over the period, so writes are even.
 */
import { createServer, type ServerResponse } from 'node:http';
import { monotonicMicroseconds } from './stamp.ts';

const [port = 0, tokens = 200, perSecond = 10] = process.argv.slice(2).map(Number);
const periodMs = 1000 / perSecond;
const SLOTS = Math.max(1, Math.round(periodMs));

interface Stream {
  readonly response: ServerResponse;
  left: number;
}

const slots: Set<Stream>[] = Array.from({ length: SLOTS }, () => new Set());
let next = 0;

function event(choice: string): string {
  return `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":"bench","system_fingerprint":"t${monotonicMicroseconds()}t","choices":[{"index":0,${choice}}]}\n\n`;
}

function write(stream: Stream, slot: Set<Stream>): void {
  if (stream.left > 0) {
    stream.left--;
    stream.response.write(event('"delta":{"content":" token"},"logprobs":null,"finish_reason":null'));
  } else {
    slot.delete(stream);
    stream.response.end(`${event('"delta":{},"logprobs":null,"finish_reason":"stop"')}data: [DONE]\n\n`);
  }
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end('{}');
    return;
  }
  request.resume().on('end', () => {
    const slot = slots[next++ % SLOTS];
    if (slot === undefined) return;
    const stream: Stream = { response, left: tokens };
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    response.on('close', () => slot.delete(stream));
    slot.add(stream);
  });
});
server.keepAliveTimeout = 60_000;
server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => process.stdout.write('streaming\n'));

const begun = monotonicMicroseconds();
let done = 0;
setInterval(() => {
  // As many slots as milliseconds have passed, however late the timer is.
  const due = Math.floor((monotonicMicroseconds() - begun) / 1000);
  for (; done < due; done++) {
    const slot = slots[done % SLOTS];
    if (slot !== undefined) for (const stream of slot) write(stream, slot);
  }
}, 1);
process.on('SIGTERM', () => process.exit(0));
