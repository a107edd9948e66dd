import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACTIONS } from '@sallyport/core';
import { ENDPOINTS, findEndpoint } from '@sallyport/wire';
import fc from 'fast-check';

const CONTRACT: [string, string, string, string][] = [
  ['POST', '/v1/chat/completions', 'openai.chat', 'model.infer'],
  ['POST', '/v1/completions', 'openai.completions', 'model.infer'],
  ['POST', '/v1/responses', 'openai.responses', 'model.infer'],
  ['POST', '/v1/embeddings', 'openai.embeddings', 'model.embed'],
  ['POST', '/v1/rerank', 'openai.rerank', 'model.rerank'],
  ['GET', '/v1/models', 'openai.models', 'model.list'],
  ['GET', '/v1/models/llama3.2', 'openai.model', 'model.show'],
  ['POST', '/v1/messages', 'anthropic.messages', 'model.infer'],
  ['POST', '/v1/messages/count_tokens', 'anthropic.count-tokens', 'model.infer'],
  ['POST', '/api/chat', 'ollama.chat', 'model.infer'],
  ['POST', '/api/generate', 'ollama.generate', 'model.infer'],
  ['POST', '/api/embed', 'ollama.embed', 'model.embed'],
  ['POST', '/api/embeddings', 'ollama.embeddings', 'model.embed'],
  ['GET', '/api/tags', 'ollama.tags', 'model.list'],
  ['GET', '/api/version', 'ollama.version', 'model.list'],
  ['GET', '/api/ps', 'ollama.ps', 'model.list'],
  ['POST', '/api/show', 'ollama.show', 'model.show'],
  ['POST', '/api/pull', 'ollama.pull', 'model.manage'],
  ['POST', '/api/push', 'ollama.push', 'model.manage'],
  ['POST', '/api/create', 'ollama.create', 'model.manage'],
  ['POST', '/api/copy', 'ollama.copy', 'model.manage'],
  ['DELETE', '/api/delete', 'ollama.delete', 'model.manage'],
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'Post', ''];

describe('the table of endpoints', () => {
  it('is the contract, and nothing else', () => {
    assert.deepEqual(new Set(ENDPOINTS.map((row) => row.id)), new Set(CONTRACT.map(([, , id]) => id)));
    for (const row of ENDPOINTS) {
      assert.ok(row.id.startsWith(`${row.dialect}.`));
      assert.ok(ACTIONS.includes(row.action));
      assert.equal(row.parse === null, row.method === 'GET', row.id);
    }
  });

  for (const [method, path, id, action] of CONTRACT) {
    it(`${method} ${path}`, () => {
      for (const tried of METHODS) {
        const match = findEndpoint(tried, path);
        const isAllowed = tried === method || (tried === 'HEAD' && method === 'GET');
        if (!isAllowed) assert.equal(match, 'method-not-allowed', tried);
        else {
          assert.ok(match !== null && match !== 'method-not-allowed');
          assert.deepEqual([match.endpoint.id, match.endpoint.action], [id, action]);
        }
      }
    });
  }

  it('matches exact bytes only', () => {
    const paths = [
      '',
      '/',
      '/v1',
      '/v1/',
      '/v1/chat',
      '/v1/models/',
      '/health',
      '/metrics',
      '/admin/v1/keys',
      '/tokenize',
      '/v1/load_lora_adapter',
      '/slots',
      '/props',
      '/api/blobs/sha256:0',
      '*',
      'http://host/v1/models',
      '__proto__',
      'constructor',
      '/v1/files',
      '/v1/audio/speech',
    ];
    for (const [, path] of CONTRACT.filter(([, , id]) => id !== 'openai.model')) {
      paths.push(
        `${path}/`,
        `${path}//`,
        `${path}?a=1`,
        `${path}#a`,
        `${path}%00`,
        `${path};a=1`,
        `${path} `,
        ` ${path}`,
        `/${path}`,
        `.${path}`,
        path.toUpperCase(),
        path.slice(1),
        path.replace('/', '//'),
        path.replace('/', '/./'),
        `/x/..${path}`,
        path.replace('a', '%61'),
        path.replaceAll('/', '\\'),
        path.replaceAll('/', '%2f'),
        `${path}.json`,
      );
    }
    for (const path of paths.filter((path) => !path.startsWith('/v1/models/') || path === '/v1/models/')) {
      if (CONTRACT.some(([, known]) => known === path)) continue;
      for (const method of METHODS) assert.equal(findEndpoint(method, path), null, path);
    }
  });

  it('takes the model from the path, decoded once', () => {
    const model = (path: string): string | undefined | null => {
      const match = findEndpoint('GET', path);
      return match === null || match === 'method-not-allowed' ? null : match.model;
    };
    assert.equal(model('/v1/models/llama3.2:1b'), 'llama3.2:1b');
    assert.equal(model('/v1/models/llama3.2%3A1b'), 'llama3.2:1b');
    assert.equal(model('/v1/models/org%2Fname'), 'org/name');
    assert.equal(model('/v1/models/org/name'), 'org/name');
    assert.equal(model('/v1/models/a%2541'), 'a%41');
    for (const path of ['%00', 'a%0a', '%20a', 'a%20', '%', '%zz', '%c0%af', '%e2%80%8b', 'x'.repeat(257)])
      assert.equal(model(`/v1/models/${path}`), null, path);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...METHODS),
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: 'binary' }).map((rest) => `/v1/models/${rest}`),
        ),
        (method, path) => {
          const match = findEndpoint(method, path);
          assert.ok(
            match === null || match === 'method-not-allowed' || match.endpoint.id === 'openai.model' || match.endpoint.path === path,
          );
        },
      ),
    );
  });
});
