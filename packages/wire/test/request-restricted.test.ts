import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ACTIONS } from '@sallyport/core';
import { DEFAULT_REQUEST_LIMITS, ENDPOINTS, type EndpointId, type JsonObject, type JsonValue, type ParsedRequest } from '@sallyport/wire';
import { VALUE_ROWS } from '../src/request/restricted.ts';
import { FIELD_ROWS, UNKNOWN_FIELD_ROWS } from '../src/request/restricted-fields.ts';
import { GENERATION, INFERENCE } from '../src/request/restricted-row.ts';

const DOCUMENT = new URL('../../../docs/restricted-fields.md', import.meta.url);
const BEGIN = '<!-- table: made from packages/wire/src/request/restricted*.ts -->';
const END = '<!-- end of table -->';

const NAMES: readonly (readonly [readonly EndpointId[], string])[] = [
  [INFERENCE, 'all inference'],
  [GENERATION, 'all generation'],
];

function endpointNames(endpoints: readonly EndpointId[]): string {
  const rest = new Set(endpoints);
  const names: string[] = [];
  for (const [group, name] of NAMES) {
    if (!group.every((id) => rest.has(id))) continue;
    names.push(name);
    for (const id of group) rest.delete(id);
  }
  return [...names, ...[...rest].map((id) => id.replace('.', ' '))].join(', ');
}

function table(): string {
  const lines = ['| field | endpoints | free at | permission | why |', '|---|---|---|---|---|'];
  for (const row of FIELD_ROWS) {
    const prefix = row.within === 'options' ? 'options.' : '';
    const names = row.names.map((name) => `\`${prefix}${name}\``).join(', ');
    lines.push(`| ${names} | ${endpointNames(row.endpoints)} | ${row.unless?.text ?? ''} | \`${row.action}\` | ${row.reason} |`);
  }
  for (const row of UNKNOWN_FIELD_ROWS)
    lines.push(`| ${row.label} | ${endpointNames(row.endpoints)} | | \`${row.action}\` | ${row.reason} |`);
  for (const row of VALUE_ROWS) lines.push(`| ${row.field} | ${row.endpoints} | | \`${row.rule.action}\` | ${row.rule.reason} |`);
  return lines.join('\n');
}

/** The least body that each endpoint accepts. */
const LEAST: Partial<Record<EndpointId, JsonObject>> = {
  'openai.chat': { model: 'm', messages: [{ role: 'user', content: 'x' }] },
  'openai.completions': { model: 'm', prompt: 'x' },
  'openai.responses': { model: 'm', input: 'x' },
  'openai.embeddings': { model: 'm', input: 'x' },
  'openai.rerank': { model: 'm', query: 'q', documents: ['d'] },
  'anthropic.messages': { model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'x' }] },
  'anthropic.count-tokens': { model: 'm', messages: [{ role: 'user', content: 'x' }] },
  'ollama.chat': { model: 'm', messages: [] },
  'ollama.generate': { model: 'm' },
  'ollama.embed': { model: 'm', input: 'x' },
  'ollama.embeddings': { model: 'm', prompt: 'x' },
  'ollama.show': { model: 'm' },
  'ollama.create': { model: 'm' },
};

/** A value of each kind, so that whatever type a field must have one of them is accepted. */
const VALUES: readonly JsonValue[] = ['text', { text: 'x' }, ['x'], [1], 7, true, false, [{ url: 'u' }], { id: 'x' }, { '1': 5 }];

function parse(endpoint: EndpointId, body: JsonValue): ParsedRequest | null {
  try {
    return ENDPOINTS.find((row) => row.id === endpoint)?.parse?.(Buffer.from(JSON.stringify(body)), DEFAULT_REQUEST_LIMITS) ?? null;
  } catch {
    return null; // refused: a Fault, or the fuzz tests would have found it
  }
}

describe('restricted fields', () => {
  for (const row of FIELD_ROWS) {
    for (const name of row.names) {
      it(`${name} needs ${row.action}`, () => {
        for (const endpoint of row.endpoints) {
          const least = LEAST[endpoint];
          assert.ok(least, endpoint);
          const put = (value: JsonValue): ParsedRequest | null =>
            parse(endpoint, row.within === 'options' ? { ...least, options: { [name]: value } } : { ...least, [name]: value });
          let accepted = 0;
          for (const value of VALUES) {
            const request = put(value);
            if (request === null) continue;
            accepted += 1;
            const marked = request.restricted.some((field) => field.action === row.action && field.address.endsWith(name));
            assert.equal(marked, row.unless?.test(value) !== true, `${endpoint} ${name} ${JSON.stringify(value)}`);
          }
          assert.ok(accepted > 0, `${endpoint} never accepts ${name}`);
          assert.deepEqual(put(null)?.restricted, [], `${endpoint} ${name} null`);
        }
      });
    }
  }

  it('unknown fields that look like one of them need a permission too', () => {
    for (const name of [
      'new_chat_template',
      'prompt_prefix',
      '_internal',
      'LoRA_rank',
      'guided_thing',
      'x_token_ids',
      'tokenizer_kwargs',
    ]) {
      const request = parse('openai.chat', { ...LEAST['openai.chat'], [name]: 1 });
      assert.deepEqual(
        request?.restricted.map((field) => [field.address, field.action]),
        [[name, 'feature.template']],
      );
    }
  });

  it('name permissions that exist', () => {
    for (const row of [...FIELD_ROWS, ...UNKNOWN_FIELD_ROWS, ...VALUE_ROWS.map((value) => value.rule)]) {
      assert.ok(ACTIONS.includes(row.action) && row.action.startsWith('feature.'));
      assert.doesNotMatch(row.reason, /\||\n/);
    }
  });

  it('are all in docs/restricted-fields.md (UPDATE_DOCS=1 rewrites its table)', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
    assert.ok(begin >= 0 && end > begin, 'the document has lost the marks around its table');
    const expected = `${text.slice(0, begin)}${BEGIN}\n${table()}\n${text.slice(end)}`;
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, expected);
    else assert.equal(text, expected);
  });
});
