import { isIP } from 'node:net';
import { type AddressClass, AddressList, canonicalIp, classifyAddress, type EgressSettings } from '@sallyport/core';
import { EgressRefused } from './refusal.ts';

/** A server the configuration names. */
export interface NamedServer {
  /** `http(s)://host:port` or `tcp://host:port`, `tls://host:port`, `udp://host:port`. */
  readonly url: string;
  /** Whether its name may resolve into private networks: true for inference servers, which live there. */
  readonly private: boolean;
}

interface Named {
  private: boolean;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** Which hosts may be connected to, and at which addresses. */
export class Destinations {
  readonly #named = new Map<string, Named>();
  readonly #suffixes = new Map<string, Named>();
  readonly #networks: AddressList;

  /** Entries of `settings.hosts` are `host`, `host:port` or `*.domain`, with or without a port; without one, 443 is meant. */
  constructor(settings: Pick<EgressSettings, 'hosts' | 'networks'>, servers: Iterable<NamedServer>) {
    this.#networks = new AddressList(settings.networks);
    for (const entry of settings.hosts) {
      const { host, port } = splitHost(entry);
      if (host.startsWith('*.')) this.#suffixes.set(`${host.slice(1)}:${port}`, { private: false });
      else this.#add(host, port, false);
    }
    for (const server of servers) {
      const url = URL.parse(server.url);
      if (url !== null) this.#add(url.hostname, url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? '') : url.port, server.private);
    }
  }

  /**
   * Whether the name may be connected to at all, before it is resolved.
   * @throws EgressRefused `host`, or `address` where the host is itself an address that may not be reached
   */
  checkHost(hostname: string, port: string | number): void {
    const host = canonicalHost(hostname);
    const named = this.#find(host, String(port));
    if (named === null) {
      throw new EgressRefused('host', `the configuration names no server ${host}:${port} (egress.hosts can add one)`);
    }
    if (isIP(host) !== 0) this.checkAddress(host, host, port);
  }

  /**
   * Whether the host may be reached at this address, which its name resolved to.
   * @throws EgressRefused `address`
   */
  checkAddress(hostname: string, address: string, port: string | number): void {
    const host = canonicalHost(hostname);
    const kind = classifyAddress(address);
    if (kind === 'public' || this.#networks.has(address)) return;
    const named = this.#find(host, String(port));
    if (kind === 'private' && named !== null && (named.private || isItself(host, address))) return;
    throw new EgressRefused('address', `${host} is at ${DESCRIPTION[kind]}, which may not be reached (egress.networks can name it)`);
  }

  #add(hostname: string, port: string, isPrivate: boolean): void {
    const key = `${canonicalHost(hostname)}:${port}`;
    const known = this.#named.get(key);
    if (known === undefined) this.#named.set(key, { private: isPrivate });
    else known.private ||= isPrivate;
  }

  #find(host: string, port: string): Named | null {
    const exact = this.#named.get(`${host}:${port}`);
    if (exact !== undefined || isIP(host) !== 0) return exact ?? null;
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const named = this.#suffixes.get(`${host.slice(dot)}:${port}`);
      if (named !== undefined) return named;
    }
    return null;
  }
}

const DESCRIPTION: Readonly<Record<Exclude<AddressClass, 'public'>, string>> = {
  private: 'an address of a private network',
  special: 'a link-local, reserved or metadata address',
};

/** An address written out, or the one name that means this machine (RFC 6761): the configuration itself has named where it goes. */
function isItself(host: string, address: string): boolean {
  if (host === 'localhost') return address === '::1' || address.startsWith('127.');
  return canonicalIp(host) === canonicalIp(address);
}

/**
 * The one spelling of a host: lower case, no brackets, no final dot, IPv4 in four decimal parts whatever the way it was written
 * (`0x7f.1`, `2130706433`, `0177.0.0.1`: the URL standard's host parser reads them as resolvers do).
 */
export function canonicalHost(hostname: string): string {
  const bare = hostname.replace(/^\[|\]$/g, '');
  const address = canonicalIp(bare);
  if (address !== null) return address;
  const parsed = URL.parse(`http://${bare}/`)?.hostname ?? bare.toLowerCase();
  const host = parsed.endsWith('.') ? parsed.slice(0, -1) : parsed;
  return canonicalIp(host) ?? host;
}

function splitHost(entry: string): { host: string; port: string } {
  const match = /^(\[[^\]]+\]|[^:]+)(?::([0-9]{1,5}))?$/.exec(entry);
  return match === null ? { host: entry, port: '443' } : { host: match[1] ?? entry, port: match[2] ?? '443' };
}
