import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '@sallyport/core';
import { DEFAULT_REQUEST_LIMITS, ENDPOINTS, type JsonValue, type ParsedRequest, type RequestLimits } from '@sallyport/wire';
import { readVectors } from './request-vectors.ts';

function parse(endpoint: string, body: JsonValue, limits: RequestLimits = DEFAULT_REQUEST_LIMITS): ParsedRequest {
  const parser = ENDPOINTS.find((row) => row.id === endpoint)?.parse;
  assert.ok(parser);
  return parser(Buffer.from(JSON.stringify(body)), limits);
}

function refusal(endpoint: string, body: JsonValue, limits?: RequestLimits): Fault {
  try {
    parse(endpoint, body, limits);
  } catch (error) {
    assert.ok(error instanceof Fault, `${error instanceof Error ? error.stack : error}`);
    return error;
  }
  return assert.fail('accepted');
}

const vectors = readVectors();

it('there are vectors for every endpoint that takes a body', () => {
  const covered = vectors.map((file) => file.endpoint).sort();
  assert.deepEqual(
    covered,
    ENDPOINTS.filter((row) => row.parse !== null)
      .map((row) => row.id)
      .sort(),
  );
});

for (const { endpoint, accept, refuse } of vectors) {
  describe(`${endpoint} accepts`, () => {
    for (const expected of accept) {
      it(expected.name, () => {
        const request = parse(endpoint, expected.body);
        const found: Record<string, unknown> = {
          model: request.model,
          modelPath: request.modelPath,
          otherModels: request.otherModels,
          stream: request.stream,
          bounds: [request.bounds.maxOutputTokens, request.bounds.choices],
          texts: request.texts.map((text) => [text.address, text.provenance, text.text, ...(text.fixed ? ['fixed'] : [])]),
          references: request.references.map((reference) => [reference.address, reference.kind, reference.source, reference.url]),
          restricted: request.restricted.map((field) => [field.address, field.action]),
        };
        const { name: _name, body: _body, ...facts } = expected;
        for (const [fact, value] of Object.entries(facts)) assert.deepEqual(found[fact], value, fact);
        for (const text of request.texts) {
          if (text.fixed) continue;
          const span = request.json.span(text.path);
          assert.ok(span !== null, text.address);
          assert.equal(JSON.parse(request.json.bytes.subarray(...span).toString()), text.text);
        }
        for (const field of request.restricted) assert.ok(field.reason.length > 10, field.address);
      });
    }
  });

  describe(`${endpoint} refuses`, () => {
    for (const { name, body, param } of refuse) {
      it(name, () => {
        const fault = refusal(endpoint, body);
        assert.equal(fault.code, 'invalid_request');
        assert.equal(fault.param, param);
        if (param !== null) assert.ok(fault.message.startsWith(param), fault.message);
      });
    }
  });
}

describe('sizes', () => {
  const limits: RequestLimits = { ...DEFAULT_REQUEST_LIMITS, maxMessages: 3, maxStringLength: 100 };
  const message = { role: 'user', content: 'x' };

  it('holds the number of messages', () => {
    assert.doesNotThrow(() => parse('openai.chat', { model: 'm', messages: [message, message, message] }, limits));
    const four = [message, message, message, message];
    for (const endpoint of ['openai.chat', 'ollama.chat', 'anthropic.messages']) {
      const fault = refusal(endpoint, { model: 'm', max_tokens: 1, messages: four }, limits);
      assert.deepEqual([fault.code, fault.param], ['request_too_large', 'messages']);
    }
    assert.equal(refusal('openai.embeddings', { model: 'm', input: ['a', 'b', 'c', 'd'] }, limits).code, 'request_too_large');
    assert.equal(refusal('openai.responses', { model: 'm', input: four }, limits).code, 'request_too_large');
  });

  it('holds the length of a message', () => {
    const fault = refusal('openai.chat', { model: 'm', messages: [message, { role: 'user', content: 'y'.repeat(101) }] }, limits);
    assert.deepEqual([fault.code, fault.param], ['request_too_large', 'messages[1].content']);
  });

  it('holds the length of a name', () => {
    assert.equal(refusal('openai.chat', { model: 'm'.repeat(257), messages: [message] }).param, 'model');
    assert.equal(refusal('openai.chat', { model: 'm', messages: [message], user: 'u'.repeat(5000) }).param, 'user');
  });
});
