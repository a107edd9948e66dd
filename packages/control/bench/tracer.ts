/** `node packages/control/bench/tracer.ts`: processor time that tracing adds to an exchange. */

import { SamplingTracer } from '@sallyport/control';
import { systemClock } from '@sallyport/core';
import { exchangeFacts } from '@sallyport/testkit/entry';

const EXCHANGES = 200_000;
const facts = exchangeFacts({ verdicts: [] });

function measure(name: string, sample: number, traceparent?: string): void {
  const tracer = new SamplingTracer({ sample, followClient: false, identity: false, clock: systemClock, keep: () => true });
  for (let round = 0; round < 3; round += 1) {
    const before = process.cpuUsage();
    for (let n = 0; n < EXCHANGES; n += 1) {
      const trace = tracer.begin(traceparent, undefined, true);
      if (trace?.sampled === true) tracer.end(trace, { facts, status: 200, provider: 'vllm', streamed: true, askedAfter: 1 });
    }
    const { user, system } = process.cpuUsage(before);
    if (round === 2) process.stdout.write(`${name}: ${((user + system) / EXCHANGES).toFixed(2)} us\n`);
  }
}

measure('not sampled, no client trace', 0);
measure("not sampled, a client's trace passed on", 0, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
measure('sampled, spans made', 1);
