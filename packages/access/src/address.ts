import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';

export interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Longest `x-forwarded-for` that is read, in characters: some 100 hops. */
const MAX_FORWARDED_LENGTH = 4096;
const MAPPED = '::ffff:';

/**
 * The one spelling of an address: IPv6 as in RFC 5952, without a zone; IPv4-mapped IPv6 as IPv4 (so that `::ffff:10.0.0.1` is
 * `10.0.0.1` for every rule and counter). Null where the text is no address.
 */
export function canonicalIp(text: string): string | null {
  if (isIPv4(text)) return text;
  const zone = text.indexOf('%');
  const bare = zone === -1 ? text : text.slice(0, zone);
  if (isIP(bare) !== 6) return null;
  const address = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  const mapped = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : '';
  return isIPv4(mapped) ? mapped : address;
}

/** Reads `address/prefix`, or an address alone as a block of one. Null where it is neither. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const bare = slash === -1 ? text : text.slice(0, slash);
  const bits = isIP(bare) === 4 ? 32 : 128;
  const address = bare.includes('%') ? null : canonicalIp(bare);
  if (address === null) return null;
  const digits = slash === -1 ? String(bits) : text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) return null;
  const prefix = Number(digits);
  if (prefix > bits) return null;
  if (!isIPv4(address)) return { address, prefix, family: 'ipv6' };
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8`; a shorter mapped prefix would also cover addresses that are not IPv4.
  if (bits === 32) return { address, prefix, family: 'ipv4' };
  return prefix >= 96 ? { address, prefix: prefix - 96, family: 'ipv4' } : null;
}

/** IPv6 addresses count by their /64: whoever has one address there has all of them. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = address.split('::', 2);
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0') : [];
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

/** A set of address blocks. An entry that is no CIDR block matches nothing, so a mistake never lets anybody in. */
export class AddressList {
  // One list for each family: a single BlockList also holds IPv4 addresses against IPv6 blocks, so `::/0` would cover them all.
  readonly #ipv4: BlockList = new BlockList();
  readonly #ipv6: BlockList = new BlockList();

  constructor(cidrs: readonly string[]) {
    for (const text of cidrs) {
      const cidr = parseCidr(text);
      if (cidr === null) continue;
      const blocks = cidr.family === 'ipv4' ? this.#ipv4 : this.#ipv6;
      blocks.addSubnet(cidr.address, cidr.prefix, cidr.family);
    }
  }

  /** `ip` in any spelling; text that is no address is in no block. */
  has(ip: string): boolean {
    const address = canonicalIp(ip);
    if (address === null) return false;
    return isIPv4(address) ? this.#ipv4.check(address, 'ipv4') : this.#ipv6.check(address, 'ipv6');
  }
}

/**
 * Who really called: the socket's peer, or behind configured proxies the nearest address of `x-forwarded-for` that is not one of them.
 * The header is read from the right, because only what our own proxies appended can be believed; everything further left is the
 * client's own claim. A malformed hop ends the reading: the answer is then the socket's address.
 * `forwardedFor` is the header's value, several ones joined by commas in their order, or null.
 */
export function clientAddress(socketAddress: string, forwardedFor: string | null, trustedProxies: AddressList): string {
  const peer = canonicalIp(socketAddress) ?? socketAddress;
  if (forwardedFor === null || forwardedFor.length > MAX_FORWARDED_LENGTH || !trustedProxies.has(peer)) return peer;
  let end = forwardedFor.length;
  let nearest = peer;
  while (end >= 0) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(',', end - 1);
    const hop = readHop(forwardedFor.slice(comma + 1, end).trim());
    if (hop === null) return peer;
    nearest = hop;
    if (!trustedProxies.has(hop)) return hop;
    end = comma;
  }
  return nearest;
}

/** One hop: an address, or as some proxies write it `1.2.3.4:5678` or `[2001:db8::1]:5678`. */
function readHop(text: string): string | null {
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?$/.exec(text)?.[1];
  if (bracketed !== undefined) return canonicalIp(bracketed);
  const withPort = /^([0-9.]+):[0-9]{1,5}$/.exec(text)?.[1];
  return canonicalIp(withPort ?? text);
}
