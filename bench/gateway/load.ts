import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@sallyport/testkit';
import { placed } from '../measure.ts';
import type { Bench } from './peers.ts';

/** What one run of wrk measured. Latencies are microseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  /** Replies that were no 2xx or 3xx, and connections that failed. */
  readonly failures: number;
}

export interface Load {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second to offer, spread at random (exponential gaps); null is as fast as replies come back. */
  readonly rate: number | null;
}

const WORDS =
  'the team wrote down what changed last week and why it was worth the time so that anyone who joins later can follow the path from one choice to the next without asking';

/** A chat request of exactly `bytes` bytes: plain English in a few turns, as an application would send it. */
export function chatRequest(bytes: number, model: string = 'bench', stream: boolean = false): string {
  const build = (text: string): string =>
    JSON.stringify({
      model,
      messages: [
        { role: 'system', content: 'You are a helpful assistant. Answer in short, complete sentences.' },
        { role: 'user', content: 'Please sum up the following notes.' },
        { role: 'assistant', content: 'Gladly. Please send them.' },
        { role: 'user', content: text },
      ],
      max_tokens: 256,
      temperature: 0.7,
      stream,
    });
  const room = bytes - build('').length;
  return build(`${WORDS}. `.repeat(Math.ceil(room / (WORDS.length + 2))).slice(0, room));
}

/** Offers `load` with wrk on the load core. Throws where wrk is missing or prints no result. */
export async function offer(bench: Bench, load: Load): Promise<LoadResult> {
  const script = join(bench.directory, 'load.lua');
  await writeFile(script, luaScript(load));
  const args = ['-t', '1', '-c', String(load.connections), '-d', `${load.seconds}s`, '--timeout', '20s', '-s', script];
  const [command, all] = placed(bench.placement, 'load', 'wrk', [...args, `http://127.0.0.1:${load.port}/v1/chat/completions`]);
  const { stdout, stderr } = await run(command, all, { timeoutMs: (load.seconds + 60) * 1000 });
  const line = stdout.match(/^RESULT (.*)$/m)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${(stderr || stdout).slice(-500)}`);
  const result: LoadResult = JSON.parse(line);
  return result;
}

/** wrk draws no user agent of its own, and a bare address as host looks hostile to the Core Rule Set: the headers are a browser's. */
function luaScript(load: Load): string {
  const headers = {
    Host: 'gateway.example', // spelt so, or wrk adds its own
    'user-agent': 'bench/1.0',
    accept: 'application/json',
    'content-type': 'application/json',
    ...load.headers,
  };
  // The gap each connection leaves so that all together offer `rate`; a reply's own time is small beside it.
  const gapMs = load.rate === null ? 0 : (load.connections / load.rate) * 1000;
  const delay =
    gapMs === 0 ? '' : `math.randomseed(7)\nfunction delay() return math.floor(-${gapMs} * math.log(1 - math.random()) + 0.5) end\n`;
  return `wrk.method = "POST"
wrk.body = [==[${load.body}]==]
${Object.entries(headers)
  .map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  .join('\n')}
${delay}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"failures":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end
`;
}
