import { type Clock, type EntryFacts, type Logger, NO_EXCHANGE, type Random, type Snapshot, type UpstreamKind } from '@sallyport/core';
import { printable } from '@sallyport/ledger';
import type { LedgerPort } from '../ports.ts';
import { readAll } from './call.ts';
import type { ConnectedUpstream } from './upstream.ts';

/** Where a kind of server tells which files it serves. vLLM, llama.cpp and plain OpenAI servers say names, which is no artifact. */
const PATHS: Readonly<Partial<Record<UpstreamKind, string>>> = { ollama: '/api/tags', tgi: '/info' };
/** A list of all models of a server. */
const MAX_BYTES = 4 << 20;
const MAX_MODELS = 10_000;

/** By the server's own name of a model. */
type ArtifactOf = (target: string) => string | null;

export interface ArtifactsOptions {
  readonly ledger: LedgerPort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Which artifact stands behind each model name of a server, as the server itself reports it: Ollama the digest of the manifest, TGI the
 * revision of the repository. Asked with each probe, so an entry names what was there at most one probe interval before. Every change of
 * what a public model is served from goes into the ledger (`model.serving`): which version ran at a time is read from there.
 */
export class Artifacts {
  readonly #options: ArtifactsOptions;
  /** By upstream. */
  readonly #known = new Map<string, ArtifactOf>();
  /** What the ledger has, by public name and upstream. */
  readonly #recorded = new Map<string, string>();

  constructor(options: ArtifactsOptions) {
    this.#options = options;
  }

  of(upstream: string, target: string): string | null {
    return this.#known.get(upstream)?.(target) ?? null;
  }

  /** Asks a server, where its kind can tell. Never throws: what it does not tell stays as it was known. */
  async look(upstream: ConnectedUpstream): Promise<void> {
    const { name, kind } = upstream.settings;
    const path = PATHS[kind];
    if (path === undefined) return;
    using call = upstream.call({ method: 'GET', path, headers: ['accept', 'application/json'], body: null });
    try {
      const head = await call.head;
      if (head.status !== 200) return;
      const value: unknown = JSON.parse((await readAll(call, MAX_BYTES)).toString());
      this.#known.set(name, kind === 'ollama' ? fromTags(value) : fromInfo(value));
    } catch {
      // Whether the server is there is the probe's to say.
    }
  }

  /** Records what public models are served from now and were not before. */
  async record({ routes, upstreams }: Snapshot): Promise<void> {
    for (const route of routes.values()) {
      const artifact = this.of(route.upstream, route.target);
      if (artifact === null || !upstreams.has(route.upstream)) continue;
      const key = `${route.name}\n${route.upstream}`;
      const before = this.#recorded.get(key) ?? null;
      if (before === artifact) continue;
      try {
        await this.#options.ledger.append(this.#facts(route, artifact, before));
        this.#recorded.set(key, artifact);
      } catch (error) {
        // Tried again with the next probe.
        this.#options.logger.error('ledger.append', { reason: error instanceof Error ? error.name : 'unknown' });
        return;
      }
    }
  }

  #facts(
    route: { readonly name: string; readonly upstream: string; readonly target: string },
    artifact: string,
    before: string | null,
  ): EntryFacts {
    return {
      id: Buffer.from(this.#options.random.bytes(12)).toString('base64url'),
      kind: 'change',
      principal: null,
      source: null,
      action: 'model.serving',
      resource: printable(route.name, 256),
      decision: null,
      ...NO_EXCHANGE,
      model: { name: printable(route.name, 256), upstream: route.upstream, artifact },
      detail: { target: printable(route.target, 256), before, after: artifact },
    };
  }
}

/** Ollama: `{"models":[{"name":"llama3.2:latest","digest":"…64 hex…"}]}`. A name without a tag means `latest`. The text is the server's. */
function fromTags(value: unknown): ArtifactOf {
  const found = new Map<string, string>();
  const artifactOf: ArtifactOf = (target) => found.get(target) ?? null;
  const models = member(value, 'models');
  if (!Array.isArray(models)) return artifactOf;
  for (const model of models.slice(0, MAX_MODELS)) {
    const name = member(model, 'name');
    const digest = member(model, 'digest');
    if (typeof name !== 'string' || name.length > 256 || typeof digest !== 'string') continue;
    const hex = /^(?:sha256:)?([0-9a-f]{64})$/.exec(digest)?.[1];
    if (hex === undefined) continue;
    found.set(name, `sha256:${hex}`);
    if (name.endsWith(':latest')) found.set(name.slice(0, -':latest'.length), `sha256:${hex}`);
  }
  return artifactOf;
}

/** TGI: `{"model_id":"org/name","model_sha":"…40 hex…"}`; it serves one model under any name. */
function fromInfo(value: unknown): ArtifactOf {
  const id = member(value, 'model_id');
  const sha = member(value, 'model_sha');
  if (typeof id !== 'string' || !/^[\w./-]{1,160}$/.test(id) || typeof sha !== 'string' || !/^[0-9a-f]{7,64}$/.test(sha)) return () => null;
  return () => `${id}@${sha}`;
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}
