import type { LogFields, Logger } from '@sallyport/core';
import { type AdminServer, type AdminServerOptions, createAdminServer, keyAuthenticator, type SnapshotStatus } from '../src/admin/index.ts';
import { CONTENT_TYPES } from '../src/metrics/exposition.ts';
import { type Bench, type BenchOptions, bench } from './service-fixture.ts';

/** An admin server over a set-up installation, on loopback. */
export interface AdminBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly server: AdminServer;
  readonly port: number;
  readonly log: { readonly event: string; readonly fields: LogFields }[];
  /** Null until a test sets one. */
  snapshot: SnapshotStatus | null;
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
}

export interface CallOptions {
  /** A bearer token; the owner's where it is not given, none where it is null. */
  readonly key?: string | null;
  /** Sent as JSON unless it is text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, or null where it is not. */
  readonly json: Json;
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface AdminBenchOptions extends BenchOptions {
  readonly server?: Partial<AdminServerOptions>;
}

export async function adminBench(options: AdminBenchOptions = {}): Promise<AdminBench> {
  const b = await bench(options);
  const log: { event: string; fields: LogFields }[] = [];
  const note = (event: string, fields: LogFields = {}): void => void log.push({ event, fields });
  const logger: Logger = { debug: note, info: note, warn: note, error: note };
  const state: { snapshot: SnapshotStatus | null } = { snapshot: null };
  const admin = createAdminServer({
    service: b.service,
    store: b.store,
    authenticate: keyAuthenticator(b.store.keys, b.ports.pepper, b.clock),
    snapshotStatus: () => state.snapshot,
    metrics: async () => ({ contentType: CONTENT_TYPES.prometheus, text: 'sallyport_up 1\n' }),
    record: b.ports.record,
    logger,
    clock: b.clock,
    random: b.ports.random,
    version: '0.0.0-test',
    ...options.server,
  });
  const { port } = await admin.listen('127.0.0.1', 0);
  return {
    bench: b,
    server: admin,
    port,
    log,
    get snapshot() {
      return state.snapshot;
    },
    set snapshot(status) {
      state.snapshot = status;
    },
    call: (method, path, call = {}) => send(port, method, path, b.installation.ownerKey.secret, call),
    [Symbol.asyncDispose]: async () => {
      await admin.close(0);
      await b[Symbol.asyncDispose]();
    },
  };
}

async function send(port: number, method: string, path: string, ownerKey: string, call: CallOptions): Promise<Reply> {
  const key = call.key === undefined ? ownerKey : call.key;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
    },
    ...(call.body === undefined ? {} : { body: typeof call.body === 'string' ? call.body : JSON.stringify(call.body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    // Metrics are text, an answer to HEAD is empty.
    return null;
  }
}

/** A member of a JSON object; null where there is none. */
export function at(json: Json, ...path: (string | number)[]): Json {
  let value: Json = json;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return null;
    if (Array.isArray(value)) value = (typeof step === 'number' ? value[step] : undefined) ?? null;
    else value = value[String(step)] ?? null;
  }
  return value;
}
