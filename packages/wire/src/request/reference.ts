import type { Reference } from '../endpoint.ts';
import type { Check } from './check.ts';
import type { Reading } from './reading.ts';
import { STORED_FILE } from './restricted.ts';

type Media = Exclude<Reference['kind'], 'server'>;

/** `data:` URLs up to the payload (RFC 2397), base64 only: upstreams read no other encoding. */
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w.+-]+=[^;,]{0,128})*;base64,/i;
const NOT_BASE64 = /[^A-Za-z0-9+/_=\r\n-]/;
/** Video frames come as base64 images joined by commas. */
const NOT_FRAMES = /[^A-Za-z0-9+/_=\r\n,-]/;
/** Encoded documents that are text all the same, so that they are read like text. */
const TEXT_TYPE = /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|x-ndjson|javascript|typescript|sql|rtf|x-sh)$|.*\+(?:json|xml)$)/i;

/** A URL, or the data itself in a `data:` URL, or (where `bare` says so) in plain base64. Attacker's data; nothing is fetched. */
export function media(kind: Media, bare = false): Check {
  return (value, at) => {
    if (typeof value !== 'string' || value === '') return at.refuse('must be a URL or base64 data');
    if (value.length >= 5 && value.slice(0, 5).toLowerCase() === 'data:') return dataUrl(kind, value, at);
    if (bare && !NOT_BASE64.test(value)) return at.addReference(kind, 'inline', null);
    at.addReference(kind, 'remote', value);
  };
}

function dataUrl(kind: Media, url: string, at: Reading): void {
  // The header is short; cutting it out first keeps the pattern away from megabytes of payload.
  const header = DATA_URL.exec(url.slice(0, 512));
  if (header === null) at.refuse('must be a base64 data URL');
  const payload = url.slice(header[0].length);
  if ((kind === 'video' ? NOT_FRAMES : NOT_BASE64).test(payload)) at.refuse('must hold valid base64');
  at.addReference(kind, 'inline', null);
  if (header[1] !== undefined && TEXT_TYPE.test(header[1])) addDecoded(payload, at);
}

/** Base64 without a `data:` prefix. */
export function base64(kind: Media): Check {
  return (value, at) => {
    if (typeof value !== 'string' || value === '' || NOT_BASE64.test(value)) return at.refuse('must be base64 data');
    at.addReference(kind, 'inline', null);
  };
}

/** An id under which the upstream keeps a file. */
export function storedFile(kind: Media): Check {
  return (value, at) => {
    if (typeof value !== 'string' || value === '' || value.length > 256) return at.refuse('must be the id of a file');
    at.restrict(STORED_FILE);
    at.addReference(kind, 'stored', null);
    at.addText(value, 'metadata');
  };
}

/** Text hidden in an encoded document is still text to the model. It can be judged, not rewritten. */
export function addDecoded(payload: string, at: Reading): void {
  at.addFixedText(Buffer.from(payload, 'base64').toString('utf8'), 'untrusted');
}

/** The address of a machine that the upstream would talk to. */
export const serverUrl: Check = (value, at) => {
  if (typeof value !== 'string' || value === '' || value.length > 2048) return at.refuse('must be a URL');
  at.addReference('server', 'remote', value);
};
