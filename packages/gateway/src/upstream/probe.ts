import type { Clock, UpstreamKind } from '@sallyport/core';
import type { ConnectedUpstream } from './upstream.ts';

/** A cheap, unauthenticated question each kind of server answers without touching a model; null where there is none. */
const PROBE_PATHS: Readonly<Record<UpstreamKind, string | null>> = {
  ollama: '/api/version',
  vllm: '/health',
  llamacpp: '/health',
  tgi: '/health',
  openai: '/v1/models',
  anthropic: null,
  demo: null,
};

/** Milliseconds an upstream has for its answer. */
const PROBE_TIMEOUT = 5_000;

/** One probe. A server that answers anything below 500 is there; a llama.cpp server that still loads answers 503 and is not. */
export async function probe(upstream: ConnectedUpstream, clock: Clock): Promise<void> {
  const path = PROBE_PATHS[upstream.settings.kind];
  if (path === null) return;
  using call = upstream.call({ method: 'GET', path, headers: ['accept', '*/*'], body: null });
  const timer = setTimeout(() => {
    upstream.health.failed('probe timeout', clock.now(), true);
    call.abort();
  }, PROBE_TIMEOUT);
  try {
    const head = await call.head;
    if (head.status >= 500) upstream.health.failed(`status ${head.status}`, clock.now(), true);
    else upstream.answered();
    while ((await call.next()) !== null);
  } catch {
    // The failure is already counted in the upstream's health; a probe has nobody else to tell.
    if (call.failure?.unhealthy) upstream.health.failed(call.failure.fault.detail ?? 'unreachable', clock.now(), true);
  } finally {
    clearTimeout(timer);
  }
}
