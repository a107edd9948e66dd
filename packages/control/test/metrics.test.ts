import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ExchangeSample, silentLogger } from '@sallyport/core';
import { Egress, NO_EGRESS_SETTINGS } from '@sallyport/egress';
import { readForeign, scrapeEngines } from '../src/metrics/engines.ts';
import { negotiate, render } from '../src/metrics/exposition.ts';
import { hostFamilies } from '../src/metrics/host.ts';
import { Counter, Histogram } from '../src/metrics/instrument.ts';
import { ProcessMetrics } from '../src/metrics/process.ts';
import { PrometheusMeter } from '../src/metrics/prometheus.ts';
import { serveText } from './text-server.ts';

const SAMPLE: ExchangeSample = {
  id: '4tlxHtm2aj_H3dSp',
  trace: null,
  endpoint: 'openai.chat',
  model: 'chat',
  provider: 'vllm',
  outcome: 'answered',
  status: 200,
  streamed: true,
  overhead: 0.0003,
  ttft: 0.2,
  total: 1.2,
  inputTokens: 100,
  outputTokens: 51,
};

async function lines(meter: PrometheusMeter, form: 'prometheus' | 'openmetrics' = 'prometheus'): Promise<string[]> {
  return (await meter.render(form)).text.split('\n');
}

describe('counting', () => {
  it('counts an exchange by its labels, under our names and those of the GenAI conventions', async () => {
    const meter = new PrometheusMeter();
    meter.exchange(SAMPLE);
    meter.exchange({ ...SAMPLE, outcome: 'blocked', status: 400, ttft: null, outputTokens: 0 });
    meter.exchange(SAMPLE);
    const out = await lines(meter);
    for (const expected of [
      'sallyport_requests_total{endpoint="openai.chat",model="chat",outcome="answered",status="200"} 2',
      'sallyport_requests_total{endpoint="openai.chat",model="chat",outcome="blocked",status="400"} 1',
      'sallyport_tokens_total{model="chat",type="input"} 300',
      'sallyport_tokens_total{model="chat",type="output"} 102',
      'sallyport_overhead_seconds_bucket{endpoint="openai.chat",le="0.00025"} 0',
      'sallyport_overhead_seconds_bucket{endpoint="openai.chat",le="0.0005"} 3',
      'sallyport_overhead_seconds_count{endpoint="openai.chat"} 3',
      'gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="chat",gen_ai_token_type="output"} 102',
      'gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="chat"} 2',
      'gen_ai_server_time_per_output_token_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="chat"} 0.04',
      'gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="chat",error_type="blocked"} 1',
    ])
      assert.ok(out.includes(expected), `${expected}\nnot in\n${out.join('\n')}`);
  });

  it('leaves what asked no model out of the GenAI names', async () => {
    const meter = new PrometheusMeter();
    meter.exchange({ ...SAMPLE, endpoint: 'openai.models', provider: null, model: '-' });
    assert.deepEqual(
      (await lines(meter)).filter((line) => line.startsWith('gen_ai')),
      [],
    );
  });

  it('has a bound on the series of a family, whatever comes', async () => {
    const meter = new PrometheusMeter();
    for (let n = 0; n < 10_000; n += 1) meter.exchange({ ...SAMPLE, model: `model-${n}` });
    const requests = (await lines(meter)).filter((line) => line.startsWith('sallyport_requests_total{'));
    assert.equal(requests.length, 2_001);
    assert.ok(requests.includes('sallyport_requests_total{endpoint="other",model="other",outcome="other",status="other"} 8000'));
  });

  it('goes on counting in the same series when the labels it kept were dropped', async () => {
    const meter = new PrometheusMeter();
    meter.exchange(SAMPLE);
    for (let status = 1_000; status < 6_000; status += 1) meter.exchange({ ...SAMPLE, status });
    meter.exchange(SAMPLE);
    assert.ok(
      (await lines(meter)).includes('sallyport_requests_total{endpoint="openai.chat",model="chat",outcome="answered",status="200"} 2'),
    );
  });

  it('has no identity, key, address or text to tell: a sample has none but an id, which is never a label', async () => {
    const meter = new PrometheusMeter();
    meter.exchange(SAMPLE);
    assert.ok(!(await lines(meter)).some((line) => line.includes('4tlxHtm2aj_H3dSp')));
  });
});

describe('exposition', () => {
  it('escapes what a label or a help text could break out of', () => {
    const counter = new Counter('x', 'a\\b\nc', ['l']);
    counter.of('a"b\\c\nd').value = 1;
    assert.equal(
      render([counter.collect()], 'prometheus'),
      '# HELP x_total a\\\\b\\nc\n# TYPE x_total counter\nx_total{l="a\\"b\\\\c\\nd"} 1\n',
    );
  });

  it('gives exemplars in OpenMetrics, of the newest exchange of a bucket, within its bounds', () => {
    const histogram = new Histogram('h', 'h', [], [1, 2]);
    histogram.of().observe(0.5, { label: 'request_id', id: 'first' });
    histogram.of().observe(0.7, { label: 'trace_id', id: 'second' });
    histogram.of().observe(5);
    assert.equal(
      render([histogram.collect()], 'openmetrics'),
      '# HELP h h\n# TYPE h histogram\nh_bucket{le="1.0"} 2 # {trace_id="second"} 0.7\nh_bucket{le="2.0"} 2\nh_bucket{le="+Inf"} 3\nh_sum 6.2\nh_count 3\n# EOF\n',
    );
    assert.ok(!render([histogram.collect()], 'prometheus').includes('second'));
  });

  it('takes the form that is asked for', () => {
    assert.equal(negotiate(undefined), 'prometheus');
    assert.equal(negotiate('*/*'), 'prometheus');
    assert.equal(negotiate('text/plain;version=0.0.4;q=0.5,*/*;q=0.1'), 'prometheus');
    assert.equal(negotiate('application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'), 'openmetrics');
    assert.equal(negotiate('application/openmetrics-text;q=0,text/plain'), 'prometheus');
  });
});

describe('this process and this machine', () => {
  it('tells processor, memory, descriptors, event loop, disk and network in base units', async () => {
    using own = new ProcessMetrics();
    const text = render(
      [
        ...(await own.collect()),
        ...(await hostFamilies(
          new Map([
            ['ledger', '/'],
            ['gone', '/no/such/place'],
          ]),
        )),
      ],
      'prometheus',
    );
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_utilization_ratio',
      'sallyport_host_memory_total_bytes',
    ])
      assert.match(text, new RegExp(`^${name}(?:{[^}]*})? [0-9]`, 'm'));
    if (process.platform === 'linux')
      for (const name of [
        'process_open_fds',
        'process_max_fds',
        'sallyport_host_cpu_seconds_total',
        'sallyport_host_memory_available_bytes',
      ])
        assert.match(text, new RegExp(`^${name}(?:{[^}]*})? [0-9]`, 'm'));
    assert.match(text, /^sallyport_disk_free_bytes\{volume="ledger"\} [1-9]/m);
    assert.ok(!text.includes('gone'));
  });
});

describe('model servers and graphics cards', () => {
  it('reads vLLM, whose models and engines add up', () => {
    const text = `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b}\\"c"} 3.0
vllm:num_requests_running{engine="1",model_name="x"} 2.0
vllm:num_requests_waiting{engine="0",model_name="x"} 7.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.5
vllm:prompt_tokens_total{engine="0"} 1e9
`;
    assert.deepEqual(readForeign(text, 'vllm'), [
      { to: 'sallyport_engine_requests_running', gpu: null, value: 5 },
      { to: 'sallyport_engine_requests_waiting', gpu: null, value: 7 },
      { to: 'sallyport_engine_kv_cache_usage_ratio', gpu: null, value: 0.5 },
    ]);
  });

  it('reads llama.cpp, TGI, dcgm-exporter and nvidia_gpu_exporter in base units', () => {
    assert.deepEqual(
      readForeign('llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n', 'llamacpp').map((one) => one.value),
      [2, 1],
    );
    assert.deepEqual(
      readForeign('tgi_queue_size 4\ntgi_batch_current_size 8\n', 'tgi').map((one) => one.value),
      [4, 8],
    );
    assert.deepEqual(
      readForeign('DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",Hostname="h"} 50\nDCGM_FI_DEV_FB_USED{gpu="1"} 1024\n', 'dcgm'),
      [
        { to: 'sallyport_gpu_utilization_ratio', gpu: '0', value: 0.5 },
        { to: 'sallyport_gpu_memory_used_bytes', gpu: '1', value: 1_073_741_824 },
      ],
    );
    assert.deepEqual(readForeign('nvidia_smi_power_draw_watts{uuid="df6e7a7c"} 70.5\n', 'nvidia-smi'), [
      { to: 'sallyport_gpu_power_watts', gpu: 'df6e7a7c', value: 70.5 },
    ]);
  });

  it('takes nothing of a hostile text but named numbers, and bounds them', () => {
    const cards = Array.from({ length: 5_000 }, (_, n) => `DCGM_FI_DEV_GPU_UTIL{gpu="${n}"} 1`).join('\n');
    assert.ok(readForeign(cards, 'dcgm').length <= 64 * 6);
    const odd = [
      'DCGM_FI_DEV_GPU_UTIL{gpu="<script>"} 1',
      'DCGM_FI_DEV_GPU_UTIL{gpu="0"} NaN',
      'DCGM_FI_DEV_GPU_UTIL{gpu="0"',
      'DCGM_FI_DEV_GPU_UTIL',
      `DCGM_FI_DEV_GPU_UTIL{gpu="${'"'.repeat(50_000)}`,
      '\u0000\u0001',
    ].join('\n');
    assert.deepEqual(readForeign(odd, 'dcgm'), [{ to: 'sallyport_gpu_utilization_ratio', gpu: '-', value: 0.01 }]);
  });

  it('says which target did not answer: refused, moved, endless, too large', async () => {
    await using good = await serveText('vllm:num_requests_waiting 3\n');
    await using moved = await serveText('', { status: 302, headers: { location: good.url } });
    await using large = await serveText('x'.repeat((4 << 20) + 1));
    await using endless = await serveText(null);
    const urls = [good, moved, large, endless].map(({ url }) => ({ url, private: true }));
    await using egress = new Egress({ settings: NO_EGRESS_SETTINGS, resolveSecret: () => '', logger: silentLogger });
    egress.name('telemetry', [...urls, { url: 'http://127.0.0.1:1', private: true }]);
    const families = await scrapeEngines(
      [
        { name: 'good', kind: 'vllm', url: good.url },
        { name: 'moved', kind: 'vllm', url: moved.url },
        { name: 'large', kind: 'vllm', url: large.url },
        { name: 'endless', kind: 'vllm', url: endless.url },
        { name: 'gone', kind: 'vllm', url: 'http://127.0.0.1:1/metrics' },
        { name: 'unnamed', kind: 'vllm', url: 'http://127.0.0.1:2/metrics' },
      ],
      egress,
    );
    const text = render(families, 'prometheus');
    assert.match(text, /^sallyport_engine_requests_waiting\{engine="good"\} 3$/m);
    assert.deepEqual(
      [...text.matchAll(/^sallyport_scrape_up\{target="(\w+)"\} ([01])$/gm)].map(([, name, value]) => `${name} ${value}`),
      ['good 1', 'moved 0', 'large 0', 'endless 0', 'gone 0', 'unnamed 0'],
    );
  });
});
