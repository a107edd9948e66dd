import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chatRequest } from '../gateway/load.ts';
import { median, quantile, usageOf } from '../measure.ts';
import { figure, markdownTable } from '../table.ts';

describe('what the benchmarks compute with', () => {
  it('medians and quantiles', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([1, 2, 3, 10]), 2.5);
    assert.equal(quantile([0, 10], 0.25), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  it('a request has the size asked for and is valid JSON', () => {
    for (const size of [1024, 2048, 32_768]) {
      const body = chatRequest(size, 'm', true);
      assert.equal(Buffer.byteLength(body), size);
      const parsed: { model: string; stream: boolean } = JSON.parse(body);
      assert.deepEqual([parsed.model, parsed.stream], ['m', true]);
    }
  });

  it('figures have few digits, tables aligned columns', () => {
    assert.deepEqual([0.0714, 7.142, 71.42, 71_420, Number.NaN].map(figure), ['0.071', '7.14', '71.4', '71,420', '-']);
    assert.equal(markdownTable(['a', 'b'], [['x', '1,000']]), '| a   |     b |\n|-----|------:|\n| x   | 1,000 |');
  });

  it('reads what this process uses', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
    const { cpu, rss } = usageOf(process.pid);
    assert.ok(cpu > 0);
    assert.ok(rss > 10e6);
  });
});
