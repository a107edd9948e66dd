import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Family } from '../src/metrics/instrument.ts';
import { mergeFamilies } from '../src/metrics/merge.ts';

function gauge(name: string, value: number): Family {
  return { name, help: '', type: 'gauge', series: [{ labels: {}, value }] };
}

it('the metrics of several processes: what adds up, what is the largest, and what one of them does not know', () => {
  const own = [
    gauge('sallyport_snapshot_age_seconds', Number.NaN),
    gauge('process_start_time_seconds', 1_000),
    gauge('process_open_fds', 7),
    gauge('sallyport_ledger_failing', 0),
  ];
  const worker = [
    gauge('sallyport_snapshot_age_seconds', 3),
    gauge('process_start_time_seconds', 1_500),
    gauge('process_open_fds', 5),
    gauge('sallyport_ledger_failing', 1),
  ];
  for (const processes of [
    [own, worker],
    [worker, own],
  ])
    assert.deepEqual(Object.fromEntries(mergeFamilies(processes).map(({ name, series }) => [name, series[0]?.value])), {
      sallyport_snapshot_age_seconds: 3,
      process_start_time_seconds: 1_500,
      process_open_fds: 12,
      sallyport_ledger_failing: 1,
    });
});
