import { isIPv4 } from 'node:net';
import { classifyAddress } from '@sallyport/core';

export type HostClass = 'public' | 'private' | 'invalid';

const MAX_URL_LENGTH = 8192;

/**
 * Strictly `http(s)://authority…`. The WHATWG parser forgives much that other parsers read otherwise (a backslash as a slash, missing
 * slashes, tabs and line breaks, `user@`), and the inference server's parser is one of those others: what could be read as two
 * different hosts is invalid.
 */
const UNAMBIGUOUS = /^https?:\/\/([^/?#\\@%\s]+)(?:[/?#][^\\\s]*)?$/i;
const CONTROL = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff]/;

/** Names, and everything below them, that mean the machine itself or its own network (RFC 6761, 6762, 8375, ICANN's .internal, cluster and cloud conventions). */
const PRIVATE_SUFFIXES = [
  'localhost',
  'local',
  'localdomain',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'test',
  'svc',
  'consul',
  'ts.net',
  // Metadata services that go by a public name.
  'metadata.goog',
  'metadata.tencentyun.com',
  'metadata.platformequinix.com',
  'metadata.packet.net',
  'api.metadata.cloud.ibm.com',
  // Public DNS services that answer with whatever address the name spells.
  'nip.io',
  'sslip.io',
  'xip.io',
  'localtest.me',
  'lvh.me',
  'vcap.me',
  'lacolhost.com',
  'rbndr.us',
  '1u.ms',
] as const;

/**
 * Where a URL in a request (an image, a file) points, as far as its text tells. The gateway never fetches it, but an inference server
 * may: `private` names this machine, a private network, a cloud's metadata service or a name without a public meaning; `invalid` is
 * not http(s) or can be read in two ways. A public name whose DNS answer is private cannot be seen here.
 * `url` is attacker's data. Never throws.
 */
export function classifyHost(url: string): HostClass {
  if (url.length > MAX_URL_LENGTH || CONTROL.test(url)) return 'invalid';
  const authority = UNAMBIGUOUS.exec(url)?.[1];
  if (authority === undefined) return 'invalid';
  const parsed = URL.parse(url);
  if (parsed === null || parsed.username !== '' || parsed.password !== '') return 'invalid';
  const host = parsed.hostname;
  if (host.startsWith('[')) return classifyIpv6(host.slice(1, -1));
  if (isIPv4(host)) return classifyIpv4(host, authority);
  return classifyName(host);
}

/** Other spellings than four decimal numbers (octal, hex, fewer parts, full-width digits) are read differently by different parsers. */
function classifyIpv4(host: string, authority: string): HostClass {
  if (classifyAddress(host) !== 'public') return 'private';
  return authority.replace(/:[0-9]*$/, '') === host ? 'public' : 'invalid';
}

function classifyIpv6(host: string): HostClass {
  return classifyAddress(host) === 'public' ? 'public' : 'private';
}

function classifyName(host: string): HostClass {
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  if (name === '' || name.startsWith('.') || name.includes('..') || name.endsWith('.')) return 'invalid';
  // A name without a dot is completed by the resolver's search domains.
  if (!name.includes('.')) return 'private';
  return PRIVATE_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`)) ? 'private' : 'public';
}
