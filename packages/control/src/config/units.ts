import { isIP } from 'node:net';
import { classifyAddress, isMetadataAddress } from '@sallyport/core';
import type { ListenAddress } from './config.ts';

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function isUnit(text: string | undefined): text is keyof typeof MILLISECONDS {
  return text !== undefined && Object.hasOwn(MILLISECONDS, text);
}

/** `500ms`, `30s`, `1m`, `24h`, `30d` in milliseconds, or null where the text is no duration. */
export function parseDuration(text: string): number | null {
  const match = /^([0-9]{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = match?.[2];
  if (match === null || !isUnit(unit)) return null;
  return Number(match[1]) * MILLISECONDS[unit];
}

/** The shortest duration text: 60000 is `1m`, 90000 is `90s`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (milliseconds > 0 && milliseconds % MILLISECONDS[unit] === 0) return `${milliseconds / MILLISECONDS[unit]}${unit}`;
  }
  return `${milliseconds}ms`;
}

/** `127.0.0.1:7070`, `[::1]:7070`, `localhost:7070`; null where it is no such thing. A bare `:7070` is refused: it would bind everywhere unsaid. */
export function parseListen(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})))?:([0-9]{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  if (host === undefined || port > 65_535) return null;
  if (match[1] !== undefined && isIP(host) !== 6) return null;
  // Digits and dots only, but no address: `1.2.3`, `300.1.1.1`.
  if (match[2] !== undefined && /^[0-9.]+$/.test(host) && isIP(host) !== 4) return null;
  return { host, port };
}

/** `https://chat.example.com` as a browser sends it in `Origin`; null where the text is not exactly that. */
export function parseOrigin(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  return url.origin === text ? text : null;
}

/** The host of a URL as the resolver gets it: IPv6 without its brackets. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** True for an IP address of a private, shared or loopback network, and for names that never leave one (`localhost`, no dot, `.internal`, `.local`). */
export function isPrivateHost(host: string): boolean {
  if (isIP(host) !== 0) return classifyAddress(host) === 'private';
  return !host.includes('.') || /\.(localhost|local|internal|lan|home\.arpa)$/i.test(host);
}

/** True for the addresses under which clouds serve instance credentials: never an inference server, always a mistake or an attack. */
export function isMetadataHost(host: string): boolean {
  if (isIP(host) !== 0) return isMetadataAddress(host);
  return /^(metadata|metadata\.google\.internal|instance-data)\.?$/i.test(host);
}
