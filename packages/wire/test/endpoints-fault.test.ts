import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FAULT_STATUS, Fault, type FaultCode } from '@sallyport/core';
import { renderFault } from '@sallyport/wire';

const fault = new Fault('invalid_request', 'messages[0].content must be a string.', {
  param: 'messages[0].content',
  detail: 'upstream 10.0.0.7 said no',
  cause: new Error('secret cause'),
});

describe('renderFault', () => {
  it('speaks OpenAI', () => {
    const { status, body } = renderFault('openai', fault, 'req_1');
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(body), {
      error: {
        message: 'messages[0].content must be a string.',
        type: 'invalid_request_error',
        param: 'messages[0].content',
        code: 'invalid_request',
      },
    });
  });

  it('speaks Anthropic', () => {
    assert.deepEqual(JSON.parse(renderFault('anthropic', fault, 'req_1').body), {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'messages[0].content must be a string.', code: 'invalid_request' },
      request_id: 'req_1',
    });
  });

  it('speaks Ollama', () => {
    assert.deepEqual(JSON.parse(renderFault('ollama', fault, 'req_1').body), {
      error: 'messages[0].content must be a string.',
      code: 'invalid_request',
    });
  });

  it('never tells the detail or the cause', () => {
    for (const dialect of ['openai', 'anthropic', 'ollama'] as const)
      assert.doesNotMatch(renderFault(dialect, fault, 'req_1').body, /10\.0\.0\.7|secret/);
  });

  it('gives every code its status and a type by it', () => {
    const types: Record<string, [string, string]> = {
      invalid_api_key: ['authentication_error', 'authentication_error'],
      model_not_allowed: ['permission_error', 'permission_error'],
      model_not_found: ['invalid_request_error', 'not_found_error'],
      request_too_large: ['invalid_request_error', 'request_too_large'],
      quota_exceeded: ['rate_limit_error', 'rate_limit_error'],
      upstream_unavailable: ['server_error', 'overloaded_error'],
      upstream_timeout: ['server_error', 'timeout_error'],
      upstream_error: ['server_error', 'api_error'],
      internal_error: ['server_error', 'api_error'],
      client_closed_request: ['invalid_request_error', 'invalid_request_error'],
    };
    for (const code of Object.keys(FAULT_STATUS) as FaultCode[]) {
      const [openai, anthropic] = (['openai', 'anthropic'] as const).map((dialect) => renderFault(dialect, new Fault(code, 'm'), 'r'));
      assert.equal(openai?.status, FAULT_STATUS[code]);
      const found = [openai, anthropic].map((rendered) => JSON.parse(rendered?.body ?? '').error.type);
      for (const type of found) assert.match(type, /^[a-z_]+$/);
      if (types[code] !== undefined) assert.deepEqual(found, types[code], code);
    }
  });
});
