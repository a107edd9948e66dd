import type { Egress } from '@sallyport/egress';
import type { Family, Series } from './instrument.ts';

/** What serves the numbers: a model server's own `/metrics`, or an exporter beside its graphics cards. */
export type ScrapeKind = 'vllm' | 'llamacpp' | 'tgi' | 'dcgm' | 'nvidia-smi';

export interface ScrapeTarget {
  readonly name: string;
  readonly kind: ScrapeKind;
  readonly url: string;
}

/** How a foreign metric becomes ours: the name it has there, ours, and what to multiply by to get base units. */
interface Mapping {
  readonly from: string;
  readonly to: keyof typeof HELP;
  readonly factor?: number;
}

const HELP = {
  sallyport_engine_requests_running: 'Requests the model server works on.',
  sallyport_engine_requests_waiting: 'Requests that wait in the model server.',
  sallyport_engine_kv_cache_usage_ratio: 'Share of the key-value cache in use.',
  sallyport_gpu_utilization_ratio: 'Share of the time the graphics card worked.',
  sallyport_gpu_memory_used_bytes: 'Memory of the graphics card in use.',
  sallyport_gpu_memory_free_bytes: 'Memory of the graphics card that is free.',
  sallyport_gpu_memory_total_bytes: 'Memory of the graphics card.',
  sallyport_gpu_temperature_celsius: 'Temperature of the graphics card.',
  sallyport_gpu_power_watts: 'Power the graphics card draws.',
  sallyport_gpu_xid_error: 'Number of the last XID error of the driver, 0 where there was none.',
} as const;

const MEBIBYTE = 1_048_576;
const PERCENT = 0.01;

const MAPPINGS: Readonly<Record<ScrapeKind, readonly Mapping[]>> = {
  vllm: [
    { from: 'vllm:num_requests_running', to: 'sallyport_engine_requests_running' },
    { from: 'vllm:num_requests_waiting', to: 'sallyport_engine_requests_waiting' },
    { from: 'vllm:kv_cache_usage_perc', to: 'sallyport_engine_kv_cache_usage_ratio' },
    // Before 0.10; a share too, whatever its name says.
    { from: 'vllm:gpu_cache_usage_perc', to: 'sallyport_engine_kv_cache_usage_ratio' },
  ],
  llamacpp: [
    { from: 'llamacpp:requests_processing', to: 'sallyport_engine_requests_running' },
    { from: 'llamacpp:requests_deferred', to: 'sallyport_engine_requests_waiting' },
    { from: 'llamacpp:kv_cache_usage_ratio', to: 'sallyport_engine_kv_cache_usage_ratio' },
  ],
  tgi: [
    { from: 'tgi_batch_current_size', to: 'sallyport_engine_requests_running' },
    { from: 'tgi_queue_size', to: 'sallyport_engine_requests_waiting' },
  ],
  dcgm: [
    { from: 'DCGM_FI_DEV_GPU_UTIL', to: 'sallyport_gpu_utilization_ratio', factor: PERCENT },
    { from: 'DCGM_FI_DEV_FB_USED', to: 'sallyport_gpu_memory_used_bytes', factor: MEBIBYTE },
    { from: 'DCGM_FI_DEV_FB_FREE', to: 'sallyport_gpu_memory_free_bytes', factor: MEBIBYTE },
    { from: 'DCGM_FI_DEV_GPU_TEMP', to: 'sallyport_gpu_temperature_celsius' },
    { from: 'DCGM_FI_DEV_POWER_USAGE', to: 'sallyport_gpu_power_watts' },
    { from: 'DCGM_FI_DEV_XID_ERRORS', to: 'sallyport_gpu_xid_error' },
  ],
  'nvidia-smi': [
    { from: 'nvidia_smi_utilization_gpu_ratio', to: 'sallyport_gpu_utilization_ratio' },
    { from: 'nvidia_smi_memory_used_bytes', to: 'sallyport_gpu_memory_used_bytes' },
    { from: 'nvidia_smi_memory_free_bytes', to: 'sallyport_gpu_memory_free_bytes' },
    { from: 'nvidia_smi_memory_total_bytes', to: 'sallyport_gpu_memory_total_bytes' },
    { from: 'nvidia_smi_temperature_gpu', to: 'sallyport_gpu_temperature_celsius' },
    { from: 'nvidia_smi_power_draw_watts', to: 'sallyport_gpu_power_watts' },
  ],
};

/** Labels by which exporters tell cards apart, best first. Anything else a foreign label says is not taken over. */
const GPU_LABELS = ['gpu', 'index', 'UUID', 'uuid'];
/** Cards of one exporter. */
const MAX_GPUS = 64;
/** A whole answer. vLLM's is about 50 kB. */
const MAX_BYTES = 4 << 20;
const TIMEOUT = 2_000;

/** A number of a foreign text, before it is ours. */
interface Reading {
  readonly to: keyof typeof HELP;
  readonly gpu: string | null;
  readonly value: number;
}

/**
 * Reads what model servers and graphics card exporters publish, when somebody reads our metrics: their texts are foreign, so of each
 * only named numbers are taken, with labels of our own. A target that does not answer in two seconds is down for this reading.
 */
export async function scrapeEngines(targets: readonly ScrapeTarget[], egress: Pick<Egress, 'request'>): Promise<readonly Family[]> {
  if (targets.length === 0) return [];
  const read = await Promise.all(targets.map(async (target) => ({ target, readings: await scrape(target, egress) })));
  const series = new Map<keyof typeof HELP, Series[]>();
  for (const { target, readings } of read) {
    for (const { to, gpu, value } of readings ?? []) {
      const labels = gpu === null ? { engine: target.name } : { source: target.name, gpu };
      const list = series.get(to);
      if (list === undefined) series.set(to, [{ labels, value }]);
      else list.push({ labels, value });
    }
  }
  return [
    {
      name: 'sallyport_scrape_up',
      help: '1 for a scraped model server or exporter that answered, 0 for one that did not.',
      type: 'gauge',
      series: read.map(({ target, readings }) => ({ labels: { target: target.name }, value: readings === null ? 0 : 1 })),
    },
    ...[...series].map(([name, list]): Family => ({ name, help: HELP[name], type: 'gauge', series: list })),
  ];
}

async function scrape({ kind, url }: ScrapeTarget, egress: Pick<Egress, 'request'>): Promise<readonly Reading[] | null> {
  try {
    const { status, body } = await egress.request(url, { timeout: TIMEOUT, maxBytes: MAX_BYTES, headers: { accept: 'text/plain' } });
    return status === 200 ? readForeign(body.toString('latin1'), kind) : null;
  } catch {
    return null;
  }
}

/** `name{labels} value [timestamp]`; a label value may hold any character, escaped. */
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+(\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/** The numbers of an exposition that have a meaning here. The text is the exporter's: anything in it is possible. */
export function readForeign(text: string, kind: ScrapeKind): readonly Reading[] {
  const wanted = new Map(MAPPINGS[kind].map((mapping) => [mapping.from, mapping]));
  const sums = new Map<string, Reading>();
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const brace = line.search(/[{ \t]/);
    const mapping = wanted.get(line.slice(0, brace < 0 ? line.length : brace));
    if (mapping === undefined) continue;
    const [, , labels = '', number = ''] = SAMPLE.exec(line) ?? [];
    const value = Number(number) * (mapping.factor ?? 1);
    if (number === '' || !Number.isFinite(value)) continue;
    const gpu = mapping.to.startsWith('sallyport_gpu_') ? gpuOf(labels) : null;
    const key = `${mapping.to}\n${gpu}`;
    const known = sums.get(key);
    if (known === undefined && sums.size >= MAX_GPUS * MAPPINGS[kind].length) continue;
    // One model server may report several models or workers: their queues add up, of a share the fullest counts.
    const sum =
      known === undefined ? value : mapping.to.endsWith('_ratio') || gpu !== null ? Math.max(known.value, value) : known.value + value;
    sums.set(key, { to: mapping.to, gpu, value: sum });
  }
  return [...sums.values()];
}

/** A card's own short name; what does not look like one is a number of no card. */
function gpuOf(labels: string): string {
  const found = new Map(Array.from(labels.matchAll(LABEL), ([, name = '', value = '']) => [name, value]));
  const name = GPU_LABELS.map((label) => found.get(label)).find((value) => value !== undefined && /^[\w.:-]{1,64}$/.test(value));
  return name ?? '-';
}
