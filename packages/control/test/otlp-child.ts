import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger, systemClock } from '@sallyport/core';
import { Egress, NO_EGRESS_SETTINGS } from '@sallyport/egress';
import { OtlpExporter } from '../src/traces/otlp.ts';

/** Sends a span to a receiver that is away, stops while it waits to try again, and says so: `otlp-child.ts <url>`. */
const [url = ''] = process.argv.slice(2);
const egress = new Egress({ settings: NO_EGRESS_SETTINGS, resolveSecret: () => '', logger: silentLogger });
egress.name('telemetry', [{ url, private: true }]);
let refused = 0;
const otlp = new OtlpExporter({
  url,
  protocol: 'http/json',
  authorization: null,
  version: '1',
  instance: 'i',
  metrics: null,
  interval: 3_600_000,
  egress: {
    request: async (...asked) => {
      const answer = await egress.request(...asked);
      refused += 1;
      return answer;
    },
  },
  clock: systemClock,
  logger: silentLogger,
});
otlp.keep([
  {
    traceId: 'a'.repeat(32),
    spanId: 'b'.repeat(16),
    name: 'n',
    kind: 2,
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    attributes: [],
    status: {},
  },
]);
void otlp.flush();
while (refused === 0) await delay(5);
await delay(5);
await otlp[Symbol.asyncDispose]();
await egress[Symbol.asyncDispose]();
process.stdout.write('closed');
