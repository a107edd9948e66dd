import { get, type IncomingMessage } from 'node:http';
import type { UpstreamKind } from '@sallyport/core';

/** An inference server found on this machine, and what it serves. */
export interface DiscoveredUpstream {
  readonly name: string;
  readonly kind: UpstreamKind;
  /** Empty for `demo`. */
  readonly url: string;
  readonly models: readonly DiscoveredModel[];
}

export interface DiscoveredModel {
  /** Public name: the server's own, or the last part of it where the server gives a path. */
  readonly name: string;
  readonly target: string;
}

export type LocalServer = 'ollama' | 'vllm' | 'llamacpp' | 'tgi' | 'lm-studio';

export const LOCAL_PORTS: Readonly<Record<LocalServer, number>> = {
  ollama: 11_434,
  vllm: 8_000,
  llamacpp: 8_080,
  tgi: 3_000,
  'lm-studio': 1_234,
};

/** Built in, so that the whole path can be tried on a machine without an inference server. */
export const DEMO_UPSTREAM: DiscoveredUpstream = { name: 'demo', kind: 'demo', url: '', models: [{ name: 'demo', target: 'demo' }] };

export interface DiscoveryOptions {
  readonly ports?: Readonly<Record<LocalServer, number>>;
  /** Milliseconds for everything together. */
  readonly timeout?: number;
}

const TIMEOUT = 250;
const MAX_REPLY_BYTES = 262_144;
const MAX_MODELS = 200;

interface Probe {
  readonly server: LocalServer;
  readonly kind: UpstreamKind;
  readonly paths: readonly string[];
  /** The model names, or null where the answers (in the order of `paths`, undefined for none) are not those of this kind of server. */
  read(replies: readonly unknown[]): readonly string[] | null;
}

/** Another program may well have one of these ports: a server counts only if it answers like itself. */
const PROBES: readonly Probe[] = [
  { server: 'ollama', kind: 'ollama', paths: ['/api/version', '/api/tags'], read: readOllama },
  { server: 'vllm', kind: 'vllm', paths: ['/v1/models'], read: ([models]) => readModelList(models, 'vllm') },
  { server: 'llamacpp', kind: 'llamacpp', paths: ['/v1/models', '/props'], read: readLlamaCpp },
  { server: 'tgi', kind: 'tgi', paths: ['/info'], read: readTgi },
  { server: 'lm-studio', kind: 'openai', paths: ['/v1/models'], read: ([models]) => readModelList(models, null) },
];

/**
 * Looks for inference servers on this machine, all at once. What they answer is untrusted: any program may hold the port. With none
 * that serves a model the built-in `demo` is added, so there is always something to talk to.
 */
export async function discoverUpstreams(options: DiscoveryOptions = {}): Promise<readonly DiscoveredUpstream[]> {
  const ports = options.ports ?? LOCAL_PORTS;
  const signal = AbortSignal.timeout(options.timeout ?? TIMEOUT);
  const found = (await Promise.all(PROBES.map((probe) => ask(probe, ports[probe.server], signal)))).filter((upstream) => upstream !== null);
  return found.some((upstream) => upstream.models.length > 0) ? found : [...found, DEMO_UPSTREAM];
}

async function ask(probe: Probe, port: number, signal: AbortSignal): Promise<DiscoveredUpstream | null> {
  const replies = await Promise.all(probe.paths.map((path) => fetchJson(port, path, signal)));
  const names = probe.read(replies);
  if (names === null) return null;
  const models = new Map<string, DiscoveredModel>();
  for (const target of names.slice(0, MAX_MODELS)) {
    const name = publicName(target);
    if (name !== null && !models.has(name)) models.set(name, { name, target });
  }
  return { name: probe.server, kind: probe.kind, url: `http://127.0.0.1:${port}`, models: [...models.values()] };
}

/** The JSON of a 200 answer; undefined for anything else. A server that is absent, slow or strange is no error here. */
function fetchJson(port: number, path: string, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  let answered = false;
  const request = get(
    { host: '127.0.0.1', port, path, signal, agent: false, headers: { accept: 'application/json' }, maxHeaderSize: 16_384 },
    (response) => {
      answered = true;
      void readJson(response).then(resolve);
    },
  );
  request.on('error', () => resolve(undefined));
  // A connection can also end without an answer and without an error (a protocol upgrade nobody asked for).
  request.on('close', () => {
    if (!answered) resolve(undefined);
  });
  return promise;
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  try {
    if (response.statusCode !== 200) return undefined;
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) return undefined;
      length += chunk.length;
      if (length > MAX_REPLY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined; // cut off, timed out or no JSON: not a server we know
  } finally {
    response.destroy();
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function texts(list: unknown, name: string): string[] | null {
  if (!Array.isArray(list)) return null;
  return list.map((item: unknown) => field(item, name)).filter((text) => typeof text === 'string');
}

function readOllama([version, tags]: readonly unknown[]): readonly string[] | null {
  return typeof field(version, 'version') === 'string' ? texts(field(tags, 'models'), 'name') : null;
}

/** An OpenAI model list; with `owner`, one whose models all belong to it. */
function readModelList(reply: unknown, owner: string | null): readonly string[] | null {
  const data = field(reply, 'data');
  if (field(reply, 'object') !== 'list' || !Array.isArray(data)) return null;
  if (owner !== null && !(data.length > 0 && data.every((item: unknown) => field(item, 'owned_by') === owner))) return null;
  return texts(data, 'id');
}

function readLlamaCpp([models, props]: readonly unknown[]): readonly string[] | null {
  const owned = readModelList(models, 'llamacpp');
  if (owned !== null) return owned;
  return typeof field(props, 'default_generation_settings') === 'object' ? readModelList(models, null) : null;
}

function readTgi([info]: readonly unknown[]): readonly string[] | null {
  const model = field(info, 'model_id');
  const known = typeof field(info, 'max_total_tokens') === 'number' || typeof field(info, 'max_concurrent_requests') === 'number';
  return typeof model === 'string' && known ? [model] : null;
}

/** What may be a public model name; the schema has the same. */
export const PUBLIC_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,191}$/;

/** A public name for a server's own: itself, or for a path (`/models/llama.gguf`) its last part. Null where neither would do. */
export function publicName(target: string): string | null {
  if (PUBLIC_NAME.test(target)) return target;
  if (target.length > 256 || !/^[ -~]+$/.test(target)) return null;
  const last = target.split(/[\\/]/).at(-1) ?? '';
  return PUBLIC_NAME.test(last) ? last : null;
}
