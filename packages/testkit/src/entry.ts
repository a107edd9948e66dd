import type { EntryFacts } from '@sallyport/core';

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
