import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';

export interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

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

/** IPv6 addresses count by their /64: whoever has one address there has all of them. `address` is canonical. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  return `${groups(address).slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address without a dotted part. */
function groups(address: string): string[] {
  const [head = '', tail = ''] = address.split('::', 2);
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0') : [];
  return [...left, ...zeros, ...right];
}

/**
 * Where an address lies. `private`: a machine's own, an organisation's or a carrier's network (RFC 1918, 4193, 6598, loopback).
 * `special`: what no service is reached by (link local, multicast, reserved, documentation, addresses that carry another), and the
 * addresses under which clouds answer their guests with credentials.
 */
export type AddressClass = 'public' | 'private' | 'special';

/** Link local, where most clouds answer, and the metadata services of Alibaba, Azure, Oracle, and AWS and Google over IPv6. */
const METADATA = new AddressList(['169.254.0.0/16', '100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce::254']);
const PRIVATE = new AddressList(['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '::1', 'fc00::/7']);
/** Special-purpose blocks (IANA registries of RFC 6890). */
const SPECIAL = new AddressList([
  '0.0.0.0/8',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // IETF protocol assignments with Teredo, documentation, and 6to4, which carries an IPv4 address.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]);
/** Only 2000::/3 is handed out as global unicast; IPv4-compatible, local NAT64, link local and multicast lie outside it. */
const GLOBAL_IPV6 = new AddressList(['2000::/3']);
/** NAT64 (RFC 6052): the last four bytes are an IPv4 address, and the packet goes there. */
const NAT64 = new AddressList(['64:ff9b::/96']);

/** Whether credentials of a machine may be handed out under it: never an inference server or a collector, always a mistake or an attack. */
export function isMetadataAddress(address: string): boolean {
  return METADATA.has(address);
}

/** `address` in any spelling that `canonicalIp` reads; anything else is `special`. */
export function classifyAddress(text: string): AddressClass {
  const address = canonicalIp(text);
  if (address === null || METADATA.has(address)) return 'special';
  if (PRIVATE.has(address)) return 'private';
  if (SPECIAL.has(address)) return 'special';
  if (isIPv4(address) || GLOBAL_IPV6.has(address)) return 'public';
  // A private address behind the translator is as out of reach as any special one: nobody names it this way in earnest.
  return NAT64.has(address) && classifyAddress(embeddedIpv4(address)) === 'public' ? 'public' : 'special';
}

function embeddedIpv4(address: string): string {
  if (address.includes('.')) return address.slice(address.lastIndexOf(':') + 1);
  const [high = 0, low = 0] = groups(address)
    .slice(6)
    .map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** True for an address that only this machine can reach; IPv6 without brackets. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
