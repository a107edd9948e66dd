import { type AddressList, canonicalIp } from '@sallyport/core';

export { AddressList, type Cidr, canonicalIp, networkOf, parseCidr } from '@sallyport/core';

/** Longest `x-forwarded-for` that is read, in characters: some 100 hops. */
const MAX_FORWARDED_LENGTH = 4096;

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
