/**
 * Writes the dashboards beside this file: `node observability/grafana/dashboards.ts`. They are kept as JSON, since that is what Grafana
 * imports; a test holds that they are what this writes, that each expression parses, and that each metric is there in a real scrape.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Unit = 'short' | 's' | 'bytes' | 'percentunit' | 'reqps' | 'ops' | 'dateTimeFromNow' | 'celsius' | 'watt' | 'Bps';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly kind?: 'timeseries' | 'stat' | 'bargauge';
  readonly description?: string;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const ON = 'instance=~"$instance"';
const RATE = '[$__rate_interval]';

function rate(by: string, metric: string, labels = ''): string {
  return `sum by (${by}) (rate(${metric}{${ON}${labels === '' ? '' : `,${labels}`}}${RATE}))`;
}

function quantile(share: number, by: string, metric: string, labels = ''): string {
  return `histogram_quantile(${share}, ${rate(`${by === '' ? '' : `${by}, `}le`, `${metric}_bucket`, labels)})`;
}

const DASHBOARDS: readonly Dashboard[] = [
  {
    uid: 'sallyport-security',
    title: 'Sallyport: security',
    panels: [
      {
        title: 'Refused credentials',
        unit: 'ops',
        queries: [{ expr: rate('reason', 'sallyport_authentication_failures_total'), legend: '{{reason}}' }],
      },
      {
        title: 'Instructions of clients for models with a prompt',
        unit: 'reqps',
        queries: [{ expr: rate('model', 'sallyport_unknown_prompts_total'), legend: '{{model}}' }],
      },
      {
        title: 'Denied by policy',
        unit: 'ops',
        queries: [{ expr: rate('action', 'sallyport_authorisation_denials_total'), legend: '{{action}}' }],
      },
      {
        title: 'Blocked and redacted',
        unit: 'ops',
        queries: [
          { expr: rate('detector, action', 'sallyport_guard_verdicts_total', 'action=~"block|redact"'), legend: '{{detector}} {{action}}' },
        ],
      },
      {
        title: 'Exchanges that ended without an answer',
        unit: 'reqps',
        queries: [{ expr: rate('outcome', 'sallyport_requests_total', 'outcome!="answered"'), legend: '{{outcome}}' }],
      },
      {
        title: 'API keys that end',
        unit: 'short',
        kind: 'stat',
        queries: [{ expr: `max by (within) (sallyport_keys_expiring{${ON}})`, legend: 'within {{within}}' }],
      },
      {
        title: 'Certificates',
        unit: 's',
        kind: 'stat',
        description: 'Time until a certificate ends.',
        queries: [
          { expr: `min by (certificate) (sallyport_certificate_expiry_timestamp_seconds{${ON}}) - time()`, legend: '{{certificate}}' },
        ],
      },
    ],
  },
  {
    uid: 'sallyport-traffic',
    title: 'Sallyport: traffic',
    panels: [
      { title: 'Requests', unit: 'reqps', queries: [{ expr: rate('model', 'sallyport_requests_total'), legend: '{{model}}' }] },
      {
        title: 'Outcomes',
        unit: 'reqps',
        queries: [{ expr: rate('outcome, status', 'sallyport_requests_total'), legend: '{{outcome}} {{status}}' }],
      },
      {
        title: 'In flight',
        unit: 'short',
        queries: [{ expr: `sum by (instance) (sallyport_requests_in_flight{${ON}})`, legend: '{{instance}}' }],
      },
      {
        title: 'Overhead',
        unit: 's',
        description: 'What Sallyport adds, waiting for model server and client left out.',
        queries: [
          { expr: quantile(0.5, '', 'sallyport_overhead_seconds'), legend: 'median' },
          { expr: quantile(0.99, '', 'sallyport_overhead_seconds'), legend: '99 %' },
        ],
      },
      {
        title: 'Time to first token, 95 %',
        unit: 's',
        queries: [
          { expr: quantile(0.95, 'gen_ai_request_model', 'gen_ai_server_time_to_first_token_seconds'), legend: '{{gen_ai_request_model}}' },
        ],
      },
      {
        title: 'Time per output token, median',
        unit: 's',
        queries: [
          {
            expr: quantile(0.5, 'gen_ai_request_model', 'gen_ai_server_time_per_output_token_seconds'),
            legend: '{{gen_ai_request_model}}',
          },
        ],
      },
      {
        title: 'Whole exchange, 95 %',
        unit: 's',
        queries: [
          { expr: quantile(0.95, 'gen_ai_request_model', 'gen_ai_server_request_duration_seconds'), legend: '{{gen_ai_request_model}}' },
        ],
      },
      { title: 'Tokens', unit: 'ops', queries: [{ expr: rate('model, type', 'sallyport_tokens_total'), legend: '{{model}} {{type}}' }] },
      {
        title: 'Model servers',
        unit: 'short',
        kind: 'stat',
        queries: [{ expr: `min by (upstream) (sallyport_upstream_up{${ON}})`, legend: '{{upstream}}' }],
      },
      {
        title: 'Breakers (1 half open, 2 open)',
        unit: 'short',
        queries: [{ expr: `max by (upstream, model) (sallyport_breaker_state{${ON}})`, legend: '{{upstream}} {{model}}' }],
      },
      {
        title: 'Breakers opened',
        unit: 'ops',
        queries: [{ expr: rate('upstream', 'sallyport_breaker_opened_total'), legend: '{{upstream}}' }],
      },
      {
        title: 'Waiting in model servers',
        unit: 'short',
        queries: [
          { expr: `max by (engine) (sallyport_engine_requests_waiting{${ON}})`, legend: '{{engine}} waiting' },
          { expr: `max by (engine) (sallyport_engine_requests_running{${ON}})`, legend: '{{engine}} running' },
        ],
      },
      {
        title: 'Key-value cache',
        unit: 'percentunit',
        queries: [{ expr: `max by (engine) (sallyport_engine_kv_cache_usage_ratio{${ON}})`, legend: '{{engine}}' }],
      },
      {
        title: 'Graphics cards',
        unit: 'percentunit',
        queries: [{ expr: `max by (source, gpu) (sallyport_gpu_utilization_ratio{${ON}})`, legend: '{{source}} {{gpu}}' }],
      },
      {
        title: 'Memory of graphics cards',
        unit: 'bytes',
        queries: [{ expr: `max by (source, gpu) (sallyport_gpu_memory_used_bytes{${ON}})`, legend: '{{source}} {{gpu}}' }],
      },
    ],
  },
  {
    uid: 'sallyport-guards',
    title: 'Sallyport: guards',
    panels: [
      {
        title: 'Findings by detector',
        unit: 'ops',
        queries: [{ expr: rate('detector', 'sallyport_guard_verdicts_total'), legend: '{{detector}}' }],
      },
      { title: 'What was done', unit: 'ops', queries: [{ expr: rate('action', 'sallyport_guard_verdicts_total'), legend: '{{action}}' }] },
      {
        title: 'Share of requests blocked',
        unit: 'percentunit',
        queries: [
          {
            expr: `sum by (instance) (rate(sallyport_requests_total{${ON},outcome="blocked"}${RATE})) / sum by (instance) (rate(sallyport_requests_total{${ON}}${RATE}))`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        title: 'Findings of the last day',
        unit: 'short',
        kind: 'bargauge',
        queries: [
          { expr: `sum by (detector, action) (increase(sallyport_guard_verdicts_total{${ON}}[1d]))`, legend: '{{detector}} {{action}}' },
        ],
      },
      {
        title: 'Detectors that could not judge',
        unit: 'ops',
        queries: [{ expr: rate('detector', 'sallyport_guard_verdicts_total', 'action="unavailable"'), legend: '{{detector}}' }],
      },
    ],
  },
  {
    uid: 'sallyport-limits',
    title: 'Sallyport: limits',
    panels: [
      {
        title: 'Refused by a limit',
        unit: 'reqps',
        queries: [{ expr: rate('limit', 'sallyport_limit_refusals_total'), legend: '{{limit}}' }],
      },
      {
        title: 'Refused of the last day',
        unit: 'short',
        kind: 'bargauge',
        queries: [{ expr: `sum by (limit) (increase(sallyport_limit_refusals_total{${ON}}[1d]))`, legend: '{{limit}}' }],
      },
      {
        title: 'Input tokens',
        unit: 'ops',
        queries: [{ expr: rate('model', 'sallyport_tokens_total', 'type="input"'), legend: '{{model}}' }],
      },
      {
        title: 'Output tokens',
        unit: 'ops',
        queries: [{ expr: rate('model', 'sallyport_tokens_total', 'type="output"'), legend: '{{model}}' }],
      },
      {
        title: 'Tokens of an exchange, 95 %',
        unit: 'short',
        queries: [
          {
            expr: quantile(0.95, 'gen_ai_request_model, gen_ai_token_type', 'gen_ai_client_token_usage'),
            legend: '{{gen_ai_request_model}} {{gen_ai_token_type}}',
          },
        ],
      },
      {
        title: 'In flight',
        unit: 'short',
        queries: [{ expr: `sum by (instance) (sallyport_requests_in_flight{${ON}})`, legend: '{{instance}}' }],
      },
    ],
  },
  {
    uid: 'sallyport-ledger',
    title: 'Sallyport: ledger and resources',
    panels: [
      {
        title: 'Recording',
        unit: 'short',
        kind: 'stat',
        description: '0 is good: 1 while entries cannot be recorded.',
        queries: [{ expr: `max by (instance) (sallyport_ledger_failing{${ON}})`, legend: '{{instance}}' }],
      },
      {
        title: 'Entries',
        unit: 'ops',
        queries: [{ expr: rate('outcome', 'sallyport_ledger_append_seconds_count'), legend: '{{instance}}' }],
      },
      {
        title: 'Until an entry is durable',
        unit: 's',
        queries: [
          { expr: quantile(0.5, '', 'sallyport_ledger_append_seconds'), legend: 'median' },
          { expr: quantile(0.99, '', 'sallyport_ledger_append_seconds'), legend: '99 %' },
        ],
      },
      {
        title: 'Not sealed yet',
        unit: 'short',
        queries: [
          { expr: `max by (instance) (sallyport_ledger_unsealed{${ON}})`, legend: '{{instance}} entries' },
          { expr: `max by (instance) (sallyport_ledger_checkpoint_age_seconds{${ON}})`, legend: '{{instance}} seconds' },
        ],
      },
      {
        title: 'Behind, by receiver',
        unit: 's',
        queries: [{ expr: `max by (exporter) (sallyport_ledger_exporter_lag_seconds{${ON}})`, legend: '{{exporter}}' }],
      },
      {
        title: 'Entries waiting, by receiver',
        unit: 'short',
        queries: [{ expr: `max by (exporter) (sallyport_ledger_exporter_lag_entries{${ON}})`, legend: '{{exporter}}' }],
      },
      {
        title: 'Delivered',
        unit: 'ops',
        queries: [
          { expr: rate('exporter', 'sallyport_ledger_exporter_delivered_entries_total'), legend: '{{exporter}}' },
          { expr: rate('exporter', 'sallyport_ledger_exporter_dead_letters_total'), legend: '{{exporter}} refused for good' },
        ],
      },
      {
        title: 'Snapshot',
        unit: 's',
        queries: [{ expr: `max by (instance) (sallyport_snapshot_stale_seconds{${ON}})`, legend: '{{instance}} out of reach' }],
      },
      {
        title: 'Disk free',
        unit: 'percentunit',
        queries: [{ expr: `min by (volume) (sallyport_disk_free_bytes{${ON}} / sallyport_disk_size_bytes{${ON}})`, legend: '{{volume}}' }],
      },
      {
        title: 'Processor',
        unit: 'short',
        queries: [{ expr: `rate(process_cpu_seconds_total{job="sallyport",${ON}}${RATE})`, legend: '{{instance}}' }],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [
          { expr: `process_resident_memory_bytes{job="sallyport",${ON}}`, legend: '{{instance}} process' },
          { expr: `sallyport_host_memory_available_bytes{${ON}}`, legend: '{{instance}} available' },
        ],
      },
      {
        title: 'Event loop',
        unit: 's',
        queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{job="sallyport",${ON}}`, legend: '{{instance}} lag, 99 %' }],
      },
      {
        title: 'Network',
        unit: 'Bps',
        queries: [
          { expr: rate('device', 'sallyport_host_network_receive_bytes_total'), legend: '{{device}} in' },
          { expr: rate('device', 'sallyport_host_network_transmit_bytes_total'), legend: '{{device}} out' },
        ],
      },
      { title: 'File descriptors', unit: 'short', queries: [{ expr: `process_open_fds{job="sallyport",${ON}}`, legend: '{{instance}}' }] },
    ],
  },
];

const WIDTH = 12;
const HEIGHT = 8;
// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
const SOURCE = { type: 'prometheus', uid: '${datasource}' };

/** The JSON model Grafana imports (schemaVersion 39, Grafana 10 and newer). */
function toJson({ uid, title, panels }: Dashboard): string {
  const model = {
    uid,
    title,
    tags: ['sallyport'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: '',
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        {
          name: 'instance',
          label: 'Instance',
          type: 'query',
          datasource: SOURCE,
          query: { query: 'label_values(sallyport_build_info, instance)', refId: 'instance' },
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
          refresh: 2,
          sort: 1,
        },
      ],
    },
    panels: panels.map((panel, index) => ({
      id: index + 1,
      title: panel.title,
      ...(panel.description === undefined ? {} : { description: panel.description }),
      type: panel.kind ?? 'timeseries',
      datasource: SOURCE,
      gridPos: { x: (index % 2) * WIDTH, y: Math.floor(index / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
      targets: panel.queries.map(({ expr, legend }, query) => ({
        refId: String.fromCharCode(65 + query),
        datasource: SOURCE,
        expr,
        legendFormat: legend,
        exemplar: expr.startsWith('histogram_quantile'),
        ...(panel.kind === undefined ? {} : { instant: true }),
      })),
    })),
  };
  return `${JSON.stringify(model, null, 2)}\n`;
}

// `--check` writes nothing and exits with 1 where a file is not what this writes.
for (const dashboard of DASHBOARDS) {
  const file = join(import.meta.dirname, `${dashboard.uid}.json`);
  if (!process.argv.includes('--check')) writeFileSync(file, toJson(dashboard));
  else if (`${JSON.stringify(JSON.parse(readFileSync(file, 'utf8')), null, 2)}\n` !== toJson(dashboard)) {
    process.stderr.write(`${file} is not up to date: node observability/grafana/dashboards.ts\n`);
    process.exitCode = 1;
  }
}
