import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, type ImportOptions, importLiteLlm, type LiteLlmImport, type ParsedConfig, parseConfig } from '@sallyport/control';
import { DEFAULT_INPUT, DEFAULT_OUTPUT } from '@sallyport/guard';
import { parse } from 'yaml';

interface Imported extends LiteLlmImport, ParsedConfig {}

function imported(text: string, options: ImportOptions = {}): Imported {
  const result = importLiteLlm(text, options);
  return { ...result, ...parseConfig(result.yaml) };
}

const dropped = (result: LiteLlmImport): Record<string, string> => Object.fromEntries(result.dropped.map(({ path, note }) => [path, note]));

/** A home server: two Ollama models, one used for what the other fails at. */
const HOME = `
model_list:
  - model_name: chat
    litellm_params:
      model: ollama_chat/llama3.2
      api_base: http://localhost:11434
  - model_name: small
    litellm_params:
      model: "ollama/qwen2.5:0.5b"
litellm_settings:
  fallbacks: [{"chat": ["small"]}]
  drop_params: true
`;

/** A team in front of vLLM replicas, with anchors as people write them. */
const TEAM = `
vllm_defaults: &vllm
  api_key: os.environ/VLLM_KEY
  timeout: 300
  rpm: 600
model_list:
  - model_name: llama-70b
    litellm_params:
      <<: *vllm
      model: hosted_vllm/meta-llama/Llama-3.3-70B-Instruct
      api_base: http://gpu1:8000/v1
      tpm: 500000
    model_info: { mode: chat }
  - model_name: llama-70b
    litellm_params:
      <<: *vllm
      model: hosted_vllm/meta-llama/Llama-3.3-70B-Instruct
      api_base: http://gpu2:8000/v1
      weight: 2
  - model_name: embed
    litellm_params: { model: openai/bge-m3, api_base: "http://embed:8080/v1/", api_key: none, max_parallel_requests: 8 }
router_settings:
  routing_strategy: least-busy
  num_retries: 2
  model_group_alias: { "gpt-4": "llama-70b", "gpt-4-vision": { model: llama-70b, hidden: true } }
  redis_host: cache
  redis_password: os.environ/REDIS_PASSWORD
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
  max_request_size_mb: 20
  global_max_parallel_requests: 200
  allowed_ips: ["10.0.0.0/8"]
`;

/** A careless one: keys written out, cloud providers, wildcards, guardrails, credentials in URLs. */
const CARELESS = `
model_list:
  - model_name: "gpt-4o"
    litellm_params: { model: gpt-4o, api_key: sk-proj-SECRETSECRET1 }
  - model_name: claude
    litellm_params: { model: claude-3-5-sonnet-20241022, api_key: "sk-ant-SECRETSECRET2" }
  - model_name: claude-other-account
    litellm_params: { model: anthropic/claude-3-5-sonnet-20241022, api_key: "sk-ant-SECRETSECRET3" }
  - model_name: tgi
    litellm_params: { model: huggingface/mistralai/Mistral-7B, api_base: "https://user:SECRETSECRET4@tgi.example.com/?token=SECRETSECRET5" }
  - model_name: azure-gpt
    litellm_params: { model: azure/my-deployment, api_base: os.environ/AZURE_BASE, api_key: SECRETSECRET6, api_version: "2024-02-01" }
  - model_name: "openai/*"
    litellm_params: { model: "openai/*", api_key: SECRETSECRET7 }
  - model_name: local
    litellm_params: { model: openai/local, api_base: os.environ/LOCAL_BASE, extra_headers: { X-Token: SECRETSECRET8 }, temperature: 0.2 }
  - model_name: "two words"
    litellm_params: { model: ollama/x }
  - litellm_params: { model: ollama/y }
  - just text
guardrails:
  - guardrail_name: pii
    litellm_params: { guardrail: presidio, mode: [pre_call, post_call], default_on: true }
  - guardrail_name: third-party
    litellm_params: { guardrail: aporia, mode: [pre_call, post_call], api_key: SECRETSECRET9, api_base: "https://aporia.example" }
environment_variables:
  LOCAL_BASE: http://10.0.0.9:9000/v1
  LANGFUSE_SECRET_KEY: SECRETSECRET10
general_settings:
  master_key: sk-SECRETSECRET11
  database_url: "postgresql://llm:SECRETSECRET12@db/litellm"
  slack_webhook: SECRETSECRET13
litellm_settings:
  success_callback: [langfuse]
  cache: true
  cache_params: { type: redis, password: SECRETSECRET14 }
mcp_servers: { tools: { url: "https://tools.example", auth: SECRETSECRET15 } }
`;

describe('a home server', () => {
  const result = imported(HOME);
  test('is carried over', () => {
    assert.deepEqual(
      result.config.upstreams.map(({ name, kind, url }) => [name, kind, url]),
      [['ollama', 'ollama', 'http://localhost:11434']],
    );
    assert.deepEqual(result.config.models, [
      { name: 'chat', upstream: 'ollama', target: 'llama3.2', fallback: ['small'], replicas: [], fallbackAnswer: null },
      { name: 'small', upstream: 'ollama', target: 'qwen2.5:0.5b', fallback: [], replicas: [], fallbackAnswer: null },
    ]);
  });
  test('lists what was not', () => assert.deepEqual(Object.keys(dropped(result)), ['litellm_settings.drop_params']));
  test('has the line for editors', () => assert.match(result.yaml, /^# yaml-language-server: \$schema=sallyport\.schema\.json\n/));
});

describe('a team', () => {
  const result = imported(TEAM);
  test('has its replicas as fallbacks of each other', () => {
    assert.deepEqual(
      result.config.upstreams.map(({ name, url, credential, retries, timeouts }) => [name, url, credential, retries, timeouts.total]),
      [
        ['vllm', 'http://gpu1:8000', 'env:VLLM_KEY', 2, 300_000],
        ['vllm-2', 'http://gpu2:8000', 'env:VLLM_KEY', 2, 300_000],
        ['openai', 'http://embed:8080', null, 2, 600_000],
      ],
    );
    assert.deepEqual(
      result.config.models.map(({ name, upstream, fallback }) => [name, upstream, fallback]),
      [
        ['llama-70b', 'vllm', ['llama-70b@2']],
        ['llama-70b@2', 'vllm-2', []],
        ['embed', 'openai', []],
        ['gpt-4', 'vllm', ['llama-70b@2']],
        ['gpt-4-vision', 'vllm', ['llama-70b@2']],
      ],
    );
  });
  test('keeps its limits', () => {
    assert.deepEqual(
      result.config.limits.map(({ per, quantity, amount, window, models }) => [per, quantity, amount, window, models]),
      [
        ['model', 'requests', 600, 60_000, ['llama-70b']],
        ['model', 'tokens', 500_000, 60_000, ['llama-70b']],
        ['model', 'requests', 600, 60_000, ['llama-70b@2']],
        ['model', 'concurrency', 8, 0, ['embed']],
        ['global', 'concurrency', 200, 0, null],
      ],
    );
    assert.equal(result.config.http.maxBodyBytes, 20 * 1_048_576);
  });
  test('is told what was left out, with the reason', () => {
    const reasons = dropped(result);
    assert.match(reasons['general_settings.master_key'] ?? '', /keys create/);
    assert.match(reasons['general_settings.database_url'] ?? '', /nothing is read from the database/);
    assert.match(reasons['general_settings.allowed_ips'] ?? '', /--allow-ip/);
    assert.match(reasons['router_settings.redis_host'] ?? '', /counters\.url/);
    assert.match(reasons['router_settings.routing_strategy'] ?? '', /no balancing/);
    assert.match(reasons['model_list[1]'] ?? '', /llama-70b@2/);
    assert.match(reasons['model_list[2].litellm_params.api_key'] ?? '', /placeholder/);
    assert.ok('vllm_defaults' in reasons);
  });
});

describe('a careless file', () => {
  const result = imported(CARELESS);
  test('gives away none of its secrets', () => {
    assert.doesNotMatch(JSON.stringify(result), /SECRETSECRET/);
  });
  test('has variables in their place, one for each', () => {
    const credentials = result.config.upstreams.map(({ name, credential }) => [name, credential]);
    assert.deepEqual(credentials, [
      ['openai', 'env:LITELLM_GPT_4O_API_KEY'],
      ['anthropic', 'env:LITELLM_CLAUDE_API_KEY'],
      ['anthropic-2', 'env:LITELLM_CLAUDE_OTHER_ACCOUNT_API_KEY'],
      ['tgi', null],
      ['openai-2', null],
    ]);
    for (const index of [0, 1, 2])
      assert.match(dropped(result)[`model_list[${index}].litellm_params.api_key`] ?? '', /secret written into the file/);
  });
  test('serves what can be served', () => {
    assert.deepEqual(
      result.config.models.map(({ name, target }) => [name, target]),
      [
        ['gpt-4o', 'gpt-4o'],
        ['claude', 'claude-3-5-sonnet-20241022'],
        ['claude-other-account', 'claude-3-5-sonnet-20241022'],
        ['tgi', 'mistralai/Mistral-7B'],
        ['local', 'local'],
      ],
    );
    assert.equal(result.config.upstreams[3]?.url, 'https://tgi.example.com');
    assert.equal(result.config.upstreams[4]?.url, 'http://10.0.0.9:9000');
  });
  test('is told of the rest', () => {
    const reasons = dropped(result);
    const paths = [
      'model_list[4].litellm_params.model',
      'model_list[5]',
      'model_list[6].litellm_params.extra_headers',
      'model_list[6].litellm_params.temperature',
      'model_list[7]',
      'model_list[8]',
      'model_list[9]',
      'guardrails[1]',
      'environment_variables',
      'general_settings.master_key',
      'general_settings.slack_webhook',
      'litellm_settings.cache_params',
      'mcp_servers',
    ];
    for (const path of paths) assert.ok(path in reasons, path);
    assert.match(reasons['model_list[4].litellm_params.model'] ?? '', /azure/);
    assert.match(reasons['model_list[5]'] ?? '', /wildcard/);
  });
});

/** Paths of all values in a file, lists of plain values as one. */
function* leaves(value: unknown, path = ''): Generator<string> {
  if (typeof value === 'object' && value !== null && !(Array.isArray(value) && value.every((item) => typeof item !== 'object'))) {
    for (const [key, item] of Object.entries(value))
      yield* leaves(item, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
  } else yield path;
}

test('every key of every file is accounted for', () => {
  for (const text of [HOME, TEAM, CARELESS]) {
    const result = importLiteLlm(text);
    const said = [...result.carried, ...result.dropped].map(({ path }) => path);
    for (const leaf of leaves(parse(text, { merge: true }))) {
      assert.ok(
        said.some((path) => leaf === path || leaf.startsWith(`${path}.`) || leaf.startsWith(`${path}[`)),
        leaf,
      );
    }
  }
});

describe('details', () => {
  const one = (parameters: string, options: ImportOptions = {}): Imported =>
    imported(`model_list: [{ model_name: m, litellm_params: { ${parameters} } }]`, options);
  const url = (parameters: string): string | undefined => one(parameters).config.upstreams[0]?.url;

  test('addresses lose the path of the API', () => {
    assert.equal(url('model: openai/x, api_base: "http://h:1/v1"'), 'http://h:1');
    assert.equal(url('model: openai/x, api_base: "http://h:1/v1/chat/completions"'), 'http://h:1');
    assert.equal(url('model: hosted_vllm/x, base_url: "https://h/llm/v1/"'), 'https://h/llm');
    assert.equal(url('model: huggingface/tgi, api_base: "http://h:3000/generate"'), 'http://h:3000');
    assert.match(
      dropped(one('model: openai/x, api_base: "http://h/mounted"'))['model_list[0].litellm_params.api_base'] ?? '',
      /mounted\/v1/,
    );
  });

  test('an address by variable is looked up, a credential never', () => {
    const parameters = 'model: openai/x, api_base: os.environ/BASE, api_key: os.environ/KEY';
    const found = one(parameters, { env: { BASE: 'http://h:1/v1', KEY: 'hunter2' } });
    assert.equal(found.config.upstreams[0]?.url, 'http://h:1');
    assert.equal(found.config.upstreams[0]?.credential, 'env:KEY');
    assert.doesNotMatch(JSON.stringify(found), /hunter2/);
    const missing = one(parameters);
    assert.deepEqual(missing.config.models, []);
    assert.match(dropped(missing)['model_list[0].litellm_params.api_base'] ?? '', /BASE, which is not set/);
  });

  test('addresses of metadata services and other schemes are not carried over', () => {
    for (const base of ['http://169.254.169.254/v1', 'file:///etc/passwd', 'gopher://h', 'nonsense']) {
      assert.deepEqual(one(`model: openai/x, api_base: "${base}"`).config.upstreams, [], base);
    }
  });

  test('a provider may be named apart', () => {
    const { config } = one('model: "org/model", custom_llm_provider: hosted_vllm, api_base: "http://h"');
    assert.equal(config.upstreams[0]?.kind, 'vllm');
    assert.equal(config.models[0]?.target, 'org/model');
  });

  test('more retries than there are become the most there are', () => {
    const result = one('model: ollama/x, max_retries: 10');
    assert.equal(result.config.upstreams[0]?.retries, 5);
    assert.match(dropped(result)['model_list[0].litellm_params.max_retries'] ?? '', /5/);
  });

  test('a circle of fallbacks is opened', () => {
    const models = ['a', 'b', 'c'].map((name) => `{ model_name: ${name}, litellm_params: { model: ollama/${name} } }`).join(', ');
    const result = imported(
      `model_list: [${models}]\nlitellm_settings: { fallbacks: [{ a: [b] }, { b: [c] }, { c: [a, gone] }], default_fallbacks: [a] }`,
    );
    assert.deepEqual(
      result.config.models.map(({ fallback }) => fallback),
      [['b'], ['c'], []],
    );
    assert.match(result.dropped.map(({ note }) => note).join('\n'), /circle[\s\S]*not carried over/);
  });

  test('default fallbacks serve those who have none of their own', () => {
    const models = ['a', 'b', 'c'].map((name) => `{ model_name: ${name}, litellm_params: { model: ollama/${name} } }`).join(', ');
    const { config } = imported(`model_list: [${models}]\nrouter_settings: { fallbacks: [{ a: [b] }], default_fallbacks: [c] }`);
    assert.deepEqual(
      config.models.map(({ fallback }) => fallback),
      [['b'], ['c'], []],
    );
  });

  test('a guardrail is carried over where a detector that is on by default does the same', () => {
    const guardrail = (name: string, mode: string): string =>
      `{ guardrail_name: g, litellm_params: { guardrail: ${name}, mode: ${mode} } }`;
    const result = imported(
      `guardrails: [${guardrail('presidio', 'pre_call')}, ${guardrail('presidio', '[during_call, post_call]')}, ${guardrail('presidio', 'logging_only')}, ${guardrail('aporia', 'pre_call')}, 7]`,
    );
    const carried = DEFAULT_INPUT.includes('pii') && DEFAULT_OUTPUT.includes('pii') ? ['guardrails[0]', 'guardrails[1]'] : [];
    assert.deepEqual(
      result.carried.map(({ path }) => path),
      carried,
    );
    assert.equal(result.carried.length + result.dropped.length, 5);
  });

  test('what is no LiteLLM file is refused', () => {
    for (const text of ['', '- a', 'text', 'a: [', `a: ${'['.repeat(1000)}`]) assert.throws(() => importLiteLlm(text), ConfigError);
    assert.deepEqual(imported('{}').config.models, []);
  });
});
