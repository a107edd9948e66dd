import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestedFormat } from '../src/index.ts';

const schema = { type: 'object', required: ['city'] };

test('what a request asks its reply to be is read in the way of its API', () => {
  const chat = (response_format: object): unknown => requestedFormat('openai.chat', { response_format: { ...response_format } });
  const wanted = { field: 'response_format', schema };
  assert.deepEqual(chat({ type: 'json_schema', json_schema: { name: 'a', schema } }), wanted);
  assert.deepEqual(chat({ type: 'json_object', schema }), wanted);
  assert.deepEqual(chat({ type: 'json', value: schema }), wanted);
  assert.deepEqual(chat({ type: 'json_object' }), { field: 'response_format', schema: { type: 'object' } });
  assert.equal(chat({ type: 'text' }), null);
  assert.equal(chat({ type: 'grammar', grammar: 'root ::= "a"' }), null);
  assert.equal(requestedFormat('openai.chat', {}), null);
  assert.deepEqual(requestedFormat('openai.completions', { response_format: { type: 'json_schema', json_schema: { schema } } }), wanted);
  assert.deepEqual(requestedFormat('openai.responses', { text: { format: { type: 'json_schema', name: 'a', schema } } }), {
    field: 'text.format',
    schema,
  });
  assert.deepEqual(requestedFormat('anthropic.messages', { output_config: { format: { type: 'json_schema', schema } } }), {
    field: 'output_config.format',
    schema,
  });
  assert.deepEqual(requestedFormat('anthropic.messages', { output_format: { type: 'json_schema', schema } }), {
    field: 'output_format',
    schema,
  });
  assert.deepEqual(requestedFormat('ollama.chat', { format: schema }), { field: 'format', schema });
  assert.deepEqual(requestedFormat('ollama.generate', { format: 'json' }), { field: 'format', schema: {} });
  assert.equal(requestedFormat('ollama.generate', { format: '' }), null);
  assert.equal(requestedFormat('openai.embeddings', { response_format: { type: 'json_object' } }), null);
});
