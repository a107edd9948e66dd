import { resolveSecret } from '@sallyport/control';
import { Egress, EgressRefused } from '@sallyport/egress';
import { type FetchRange, type FileReport, RangeRefused, RULES_VERSION, scanRemote } from '@sallyport/scanner';
import type { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { UsageError } from '../terminal.ts';
import { globalOptions } from './options.ts';

export interface RemoteFlags {
  readonly allowHost?: readonly string[];
  readonly hub: string;
  readonly maxFetch: string;
  readonly fetchDeadline: string;
}

/** A file to be fetched, and what the report calls it. */
interface RemoteFile {
  readonly path: string;
  readonly url: string;
}

const HOPS = 5;
const LISTING_BYTES = 16 * 2 ** 20;
const FILES = 10_000;
const TIMEOUT = 60_000;
const HUB = /^hf:\/\/([\w.-]{1,96}\/[\w.-]{1,96})(?:@([\w./-]{1,200}))?$/;
const HOST = /^(?:\*\.)?(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/**
 * Scans URLs and models of a Hub by their ranges. Only hosts that the operator named are asked, for redirections as well; the addresses that
 * their names resolve to are checked by `Egress`. Throws `UsageError` for what is not a URL or a Hub id.
 */
export async function* scanRemotes(paths: readonly string[], flags: RemoteFlags, command: Command): AsyncGenerator<FileReport> {
  const maxBytes = parseMaxFetch(flags.maxFetch);
  const deadline = parseDeadline(flags.fetchDeadline);
  const allowed = flags.allowHost ?? [];
  const wrong = allowed.find((host) => !HOST.test(host));
  if (wrong !== undefined) throw new UsageError(`--allow-host: expected host, host:port or *.domain, got ${wrong}`);
  const { place, logger } = globalOptions(command);
  const { config } = await readConfig(place, false);
  if (allowed.length + config.egress.hosts.length === 0)
    throw new UsageError(
      `${paths[0]}: nothing is fetched unless you name the host: --allow-host (redirections of a Hub need theirs as well)`,
    );
  const settings = { ...config.egress, hosts: [...config.egress.hosts, ...allowed] };
  await using egress = new Egress({ settings, resolveSecret: (reference) => resolveSecret(reference).value, logger });
  for (const path of paths)
    for await (const file of filesOf(path, flags.hub, egress)) {
      if ('verdict' in file) yield file;
      else yield await scanRemote(rangesOf(file.url, egress), { path: file.path, maxBytes, deadline });
    }
}

function parseMaxFetch(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) > 1024) throw new UsageError(`--max-fetch: expected MiB from 1 to 1024, got ${text}`);
  return Number(text) * 2 ** 20;
}

function parseDeadline(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new UsageError(`--fetch-deadline: expected seconds from 1 to 99999, got ${text}`);
  return Number(text) * 1000;
}

async function* filesOf(path: string, hub: string, egress: Egress): AsyncGenerator<RemoteFile | FileReport> {
  if (!/^hf:/i.test(path)) {
    const url = URL.parse(path);
    if (url === null || url.username !== '' || url.password !== '') throw new UsageError(`${path}: not a URL without credentials`);
    yield { path, url: url.href };
    return;
  }
  const id = HUB.exec(path);
  const base = URL.parse(hub);
  if (id?.[1] === undefined) throw new UsageError(`${path}: expected hf://organisation/name or hf://organisation/name@revision`);
  if (base === null || base.username !== '' || base.password !== '') throw new UsageError('--hub: expected a URL without credentials');
  const revision = id[2] ?? 'main';
  try {
    const listing = new URL(`/api/models/${id[1]}/revision/${encodeURIComponent(revision)}`, base);
    const { body } = await get(listing.href, egress, {}, LISTING_BYTES);
    const { commit, names } = parseListing(body);
    for (const name of names) {
      const parts = name.split('/');
      // The URL standard would walk up the path.
      if (parts.some((part) => /^(?:|\.|\.\.)$/.test(part)) || name.includes('\\'))
        yield unreadable(`${path}/${name}`, 'the Hub lists a file whose name leads elsewhere');
      else {
        const url = new URL(`/${id[1]}/resolve/${commit}/${parts.map(encodeURIComponent).join('/')}`, base);
        yield { path: `hf://${id[1]}@${commit}/${name}`, url: url.href };
      }
    }
  } catch (error) {
    if (!(error instanceof RangeRefused)) throw error;
    yield unreadable(path, error.message);
  }
}

/** What the Hub's API says of a revision: the commit, so that all files are of one, and the names of its files. */
function parseListing(body: Buffer): { commit: string; names: string[] } {
  let listing: unknown;
  try {
    listing = JSON.parse(body.toString('utf8'));
  } catch {
    throw new RangeRefused('the Hub sends a list of files that is no JSON');
  }
  const { sha, siblings } = (typeof listing === 'object' && listing !== null ? listing : {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !/^[0-9a-f]{40,64}$/.test(sha) || !Array.isArray(siblings))
    throw new RangeRefused('the Hub names no commit or no files');
  if (siblings.length > FILES) throw new RangeRefused(`the Hub lists more than ${FILES} files`);
  const names = siblings.map((sibling: unknown) => (sibling as { rfilename?: unknown } | null)?.rfilename);
  if (!names.every((name) => typeof name === 'string' && name.length <= 1024))
    throw new RangeRefused('the Hub lists a file without a name');
  return { commit: sha, names: names.filter((name) => typeof name === 'string') };
}

/** Ranges of one URL. The file must stay the same from one to the next, as far as its server tells. */
function rangesOf(url: string, egress: Egress): FetchRange {
  let tag: string | undefined;
  return async (offset, length, signal) => {
    const range = `bytes=${offset}-${offset + length - 1}`;
    // What has more bytes than were asked for is refused before they are held.
    const { status, headers, body } = await get(url, egress, { range, 'accept-encoding': 'identity' }, length, signal);
    const encoding = header(headers, 'content-encoding') ?? 'identity';
    if (encoding !== 'identity') throw new RangeRefused('the server encodes what was to be sent as it is');
    const current = header(headers, 'etag');
    if (tag !== undefined && current !== tag) throw new RangeRefused('the file changed while it was read');
    tag = current;
    const content = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/.exec(header(headers, 'content-range') ?? '');
    if (status === 416 && content?.[3] === '0') return { bytes: Buffer.alloc(0), total: 0 };
    if (status === 200 && offset === 0) {
      // An answer that ends with its connection looks the same whole and cut short.
      if (header(headers, 'content-length') !== String(body.length)) throw new RangeRefused('the server does not say how long the file is');
      return { bytes: body, total: body.length };
    }
    if (status !== 206) throw new RangeRefused(`the server answers ${status} to a request for a range`);
    if (
      Number(content?.[1] ?? -1) !== offset ||
      Number(content?.[2]) !== offset + body.length - 1 ||
      Number(content?.[3]) < offset + body.length
    )
      throw new RangeRefused('the server sends another range than it was asked for');
    return { bytes: body, total: Number(content?.[3]) };
  };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** One answer, redirections followed: each goes to a host that is named, never from TLS to plain text. Throws `RangeRefused`. */
async function get(
  url: string,
  egress: Egress,
  headers: Record<string, string>,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<{ status: number; headers: Headers; body: Buffer }> {
  let current = url;
  for (let hop = 0; hop <= HOPS; hop += 1) {
    const answer = await ask(current, egress, headers, maxBytes, signal);
    if (answer.status < 300 || answer.status >= 400) {
      if (answer.status >= 400 && answer.status !== 416) throw new RangeRefused(`the server answers ${answer.status}`);
      return answer;
    }
    const next = URL.parse(header(answer.headers, 'location') ?? '', current);
    if (next === null || !/^https?:$/.test(next.protocol) || next.username !== '' || next.password !== '')
      throw new RangeRefused('the server redirects to what is no HTTP address');
    if (current.startsWith('https:') && next.protocol === 'http:') throw new RangeRefused('the server redirects from TLS to plain text');
    current = next.href;
  }
  throw new RangeRefused(`the server redirects more than ${HOPS} times`);
}

async function ask(
  url: string,
  egress: Egress,
  headers: Record<string, string>,
  maxBytes: number,
  signal?: AbortSignal,
): ReturnType<Egress['request']> {
  try {
    return await egress.request(url, {
      headers,
      maxBytes,
      timeout: TIMEOUT,
      redirect: 'return',
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (error instanceof EgressRefused && error.reason === 'host')
      throw new RangeRefused(`${URL.parse(url)?.host ?? ''} is not named: --allow-host ${URL.parse(url)?.host ?? ''} would allow it`);
    if (error instanceof EgressRefused && error.reason === 'size')
      throw new RangeRefused('the server sends more than it was asked for: ranges may be unknown to it');
    // Everything else is a connection that failed, on the way or at the far end.
    const code = error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : 'unknown';
    throw new RangeRefused(error instanceof EgressRefused ? error.message : `the server cannot be read (${code})`);
  }
}

function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function unreadable(path: string, message: string): FileReport {
  const finding = { rule: 'source-unreadable', severity: 'medium', message } as const;
  return { path, sha256: '', size: 0, format: 'unreadable', verdict: 'inconclusive', findings: [finding], rules: RULES_VERSION };
}
