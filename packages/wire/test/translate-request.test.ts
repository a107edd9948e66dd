import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import type { EndpointId } from '../src/endpoint.ts';
import { DEFAULT_REQUEST_LIMITS } from '../src/endpoint.ts';
import { ENDPOINTS } from '../src/endpoints.ts';
import type { JsonObject } from '../src/json/document.ts';
import { parseJson } from '../src/json/parse.ts';
import { readExact } from '../src/translate/exact.ts';
import { findTranslation } from '../src/translate/find.ts';
import { composeShow } from '../src/translate/show.ts';
import type { Extension } from '../src/translate/translation.ts';
import { FOLDER, REQUEST, translated, translation } from './translate-fixtures.ts';

function read<T>(name: string): T {
  const value: T = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
  return value;
}

interface RequestCase {
  readonly name: string;
  readonly from: EndpointId;
  readonly to: EndpointId;
  readonly context: { readonly stream?: boolean; readonly extensions?: Extension[] };
  readonly request: JsonObject;
  readonly expected: JsonObject;
}

interface RefusalCase {
  readonly from: EndpointId;
  readonly to: EndpointId;
  readonly patch: JsonObject;
  readonly param: string;
}

/** The endpoint's own parser: what reaches a translation has passed it. */
function parse(endpoint: EndpointId, body: JsonObject): void {
  const bytes = Buffer.from(JSON.stringify(body));
  ENDPOINTS.find(({ id }) => id === endpoint)?.parse?.(bytes, DEFAULT_REQUEST_LIMITS);
}

const MINIMAL: Partial<Readonly<Record<EndpointId, JsonObject>>> = {
  'anthropic.messages': { model: 'public', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
  'ollama.chat': { model: 'public', messages: [{ role: 'user', content: 'Hi' }] },
  'ollama.generate': { model: 'public', prompt: 'Hi' },
  'ollama.embed': { model: 'public', input: 'Hi' },
  'ollama.embeddings': { model: 'public', prompt: 'Hi' },
  'openai.responses': { model: 'public', input: 'Hi' },
  'openai.chat': { model: 'public', messages: [{ role: 'user', content: 'Hi' }] },
};

describe('requests', () => {
  for (const { name, from, to, context, request, expected } of read<RequestCase[]>('requests.json')) {
    test(`${name}: ${from} to ${to}`, () => {
      parse(from, request);
      const { stream = false, extensions = [] } = context;
      const sent = translated(from, to, request, { stream, extensions: new Set(extensions) });
      assert.deepEqual(sent, expected);
      // What is sent is a request that the server's API takes.
      parse(to, sent);
    });
  }

  test('keep numbers beyond 2^53', () => {
    const body =
      '{"model":"p","max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"x","input":{"id":12345678901234567890}}]}]}';
    const value = readExact(parseJson(Buffer.from(body), DEFAULT_REQUEST_LIMITS), []);
    const sent = translation('anthropic.messages', 'openai.chat').request(value, REQUEST).toString();
    assert.match(sent, /\\"id\\":12345678901234567890/);
  });

  test('are read with the edits of the guard', () => {
    const document = parseJson(Buffer.from('{"model":"p","prompt":"my secret"}'), DEFAULT_REQUEST_LIMITS);
    const value = readExact(document, [{ path: ['prompt'], value: 'my [removed]' }]);
    assert.deepEqual(value, { model: 'p', prompt: 'my [removed]' });
  });
});

describe('what cannot be carried', () => {
  for (const { from, to, patch, param } of read<RefusalCase[]>('refusals.json')) {
    test(`${param} of ${from} to ${to}: ${JSON.stringify(patch).slice(0, 60)}`, () => {
      assert.throws(
        () => translated(from, to, { ...MINIMAL[from], ...patch }),
        (error) => {
          assert.ok(error instanceof Fault);
          assert.deepEqual([error.code, error.param], ['invalid_request', param]);
          assert.ok(error.message.startsWith(param), error.message);
          return true;
        },
      );
    });
  }

  test('is never dropped unsaid: an unknown member anywhere is refused by name', () => {
    const silent: string[] = [];
    for (const { from, to, request, context } of read<RequestCase[]>('requests.json')) {
      for (const path of objectPaths(request, [])) {
        const changed: JsonObject = structuredClone(request);
        const holder = path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], changed);
        (holder as JsonObject)['never_heard_of'] = 1;
        const { stream = false, extensions = [] } = context;
        const sent = outcome(() => translated(from, to, changed, { stream, extensions: new Set(extensions) }));
        if (sent instanceof Fault) assert.match(sent.param ?? '', /never_heard_of$|^logit_bias$/);
        else if (!JSON.stringify(sent).includes('never_heard_of') && !IGNORED.test(path.join('.')))
          silent.push(`${from}: ${path.join('.')}`);
      }
    }
    assert.deepEqual(silent, []);
  });

  test('whatever a body holds, it ends in nothing but a fault', () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const names = [
      'messages',
      'tools',
      'tool_choice',
      'system',
      'options',
      'format',
      'input',
      'response_format',
      'text',
      'images',
      'stop',
      'think',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...read<RequestCase[]>('requests.json')),
        fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 }),
        ({ from, to, request }, patch) => {
          const body: JsonObject = JSON.parse(JSON.stringify({ ...request, ...patch }));
          const sent = outcome(() => translated(from, to, body));
          assert.ok(!(sent instanceof Fault) || sent.code === 'invalid_request');
        },
      ),
      { numRuns: 1000 },
    );
  });
});

/** Objects that are ignored as a whole: each is in docs/translation.md. */
const IGNORED = /cache_control$|^(thinking|context_management|options|metadata|stream_options)$|^input\.2\.summary\.0$/;

function outcome(work: () => JsonObject): JsonObject | Fault {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function objectPaths(value: unknown, path: (string | number)[]): (string | number)[][] {
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => objectPaths(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return [path, ...Object.entries(value).flatMap(([name, member]) => objectPaths(member, [...path, name]))];
}

describe('which translation is found', () => {
  const only =
    (...endpoints: EndpointId[]) =>
    (endpoint: EndpointId) =>
      endpoints.includes(endpoint);
  test('the server that speaks chat completions is asked for those, another for messages', () => {
    assert.equal(findTranslation('ollama.chat', only('openai.chat', 'openai.completions'))?.to, 'openai.chat');
    assert.equal(findTranslation('openai.responses', only('anthropic.messages'))?.to, 'anthropic.messages');
    assert.equal(findTranslation('ollama.embed', only('openai.chat', 'openai.embeddings'))?.to, 'openai.embeddings');
  });
  test('none where there is none', () => {
    assert.equal(
      findTranslation('openai.rerank', () => true),
      null,
    );
    assert.equal(
      findTranslation('openai.completions', () => true),
      null,
    );
    assert.equal(
      findTranslation('ollama.pull', () => true),
      null,
    );
    assert.equal(findTranslation('ollama.embed', only('openai.chat')), null);
    assert.equal(findTranslation('openai.embeddings', only('openai.chat')), null);
  });
});

test('a description tells no more than is known, and refuses to change it', () => {
  const shown: JsonObject = JSON.parse(composeShow({ model: 'public', verbose: true }, 0));
  assert.deepEqual([shown['capabilities'], shown['model_info'], shown['modified_at']], [['completion'], {}, '1970-01-01T00:00:00.000Z']);
  assert.throws(() => composeShow({ model: 'public', system: 'x' }, 0), Fault);
});
