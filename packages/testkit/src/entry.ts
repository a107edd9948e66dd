import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { EntryFacts } from '@sallyport/core';
import { Ajv2020 } from 'ajv/dist/2020.js';

const validate = new Ajv2020({ allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(new URL('../../ledger/ledger-entry.schema.json', import.meta.url), 'utf8')),
);

/** Holds what a ledger is told to the published schema: the real one refuses anything else, and then there is no entry. */
export function expectEntry(facts: EntryFacts): void {
  const hash = '0'.repeat(64);
  assert.ok(validate({ ...facts, seq: 0, time: '2026-01-01T00:00:00.000Z', prev: hash, hash }), JSON.stringify(validate.errors));
}

/** What the ledger is told of an ordinary exchange. */
export function exchangeFacts(change: Partial<EntryFacts> = {}): EntryFacts {
  return {
    id: 'req_01JD3Q9V5T',
    kind: 'request',
    principal: { id: 'alice', kind: 'person', tenant: 'acme', credential: 'api-key:k_1' },
    source: { ip: '192.0.2.7', port: 51234, tls: 'TLSv1.3' },
    action: 'model.infer',
    resource: 'chat',
    decision: { effect: 'permit', rule: 'role:user' },
    model: { name: 'chat', upstream: 'ollama', artifact: null },
    usage: { input: 12, output: 100, cached: 0, exact: true },
    latency: { overhead: 1.234, ttft: 120.5, total: 822.125 },
    verdicts: [{ detector: 'pii', action: 'redact', category: 'email', count: 2 }],
    outcome: 'answered',
    fault: null,
    digest: { prompt: 'a'.repeat(64), reply: null },
    detail: { endpoint: 'openai.chat', attempts: 1, reason: null },
    ...change,
  };
}
