/** `node packages/control/bench/meter.ts`: processor time of counting one exchange, and of one scrape. */

import { PrometheusMeter } from '@sallyport/control';
import type { ExchangeSample } from '@sallyport/core';

const EXCHANGES = 500_000;

const meter = new PrometheusMeter();
const samples: ExchangeSample[] = Array.from({ length: 8 }, (_, n) => ({
  id: '4tlxHtm2aj_H3dSp',
  trace: null,
  endpoint: 'openai.chat',
  model: `model-${n}`,
  provider: 'vllm',
  outcome: 'answered',
  status: 200,
  streamed: true,
  overhead: 0.0003,
  ttft: 0.2,
  total: 1.2,
  inputTokens: 100,
  outputTokens: 51,
}));

function measure(name: string, pick: (n: number) => ExchangeSample | undefined): void {
  for (let round = 0; round < 4; round += 1) {
    const before = process.cpuUsage();
    for (let n = 0; n < EXCHANGES; n += 1) {
      const sample = pick(n);
      if (sample === undefined) continue;
      meter.inFlight(1);
      meter.exchange(sample);
      meter.inFlight(-1);
    }
    const { user, system } = process.cpuUsage(before);
    if (round > 0) process.stdout.write(`${name}: ${((user + system) / EXCHANGES).toFixed(3)} us\n`);
  }
}

measure('one model', () => samples[0]);
measure('eight models in turn', (n) => samples[n % samples.length]);
const before = performance.now();
const { text } = await meter.render('openmetrics');
process.stdout.write(`a scrape of ${text.length} bytes: ${(performance.now() - before).toFixed(2)} ms\n`);
