/** `node packages/control/bench/tracer.ts`: processor time that tracing adds to an exchange. */

import { SamplingTracer } from '@sallyport/control';
import { type EntryFacts, systemClock } from '@sallyport/core';

const EXCHANGES = 200_000;
const facts: EntryFacts = {
  id: '4tlxHtm2aj_H3dSp',
  kind: 'request',
  principal: { id: 'app:billing', kind: 'application', tenant: 'acme', credential: 'api-key:k_1' },
  source: { ip: '192.0.2.7', port: 51234, tls: 'TLSv1.3' },
  action: 'model.infer',
  resource: 'chat',
  decision: { effect: 'permit', rule: 'role:user' },
  model: { name: 'chat', upstream: 'engine', artifact: null },
  usage: { input: 12, output: 100, cached: 0, exact: true },
  latency: { overhead: 1.5, ttft: 120.5, total: 822.125 },
  verdicts: [],
  outcome: 'answered',
  fault: null,
  digest: { prompt: null, reply: null },
  detail: { endpoint: 'openai.chat', attempts: 1, reason: null },
};

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
