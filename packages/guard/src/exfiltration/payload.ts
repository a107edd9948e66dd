/** What in an address could carry something out, as far as it can be told from the address alone. */
export type Carrier = 'query' | 'path' | 'host' | 'user' | 'fragment';

/** Parameters of images and badges that say how a picture is to look. */
const LOOKS: ReadonlySet<string> = new Set(
  (
    'w h width height s size sz default r rating fit crop auto format fm dpr v ver version style label labelcolor logo logocolor color ' +
    'branch raw theme type scale quality alt rev resize strip ssl cachebust cacheseconds cb ts svg job event tag include flag lang hl ' +
    'family display subset tab tabs force_format gravity si rel controls start autoplay mute loop'
  ).split(' '),
);

/** Parameters that searches, lists and campaigns use; a few words in them are ordinary. */
const ASKED: ReadonlySet<string> = new Set('q query search s k keyword keywords term search_query p'.split(' '));

/** Parameters named for what they would carry away. */
const CARRIED: ReadonlySet<string> = new Set(
  (
    'data d x payload content body text msg message info leak exfil exfiltrate secret secrets token key apikey api_key pw pass passwd ' +
    'password pwd creds credentials cookie cookies session sessionid history chat conversation convo prompt system context output result ' +
    'response answer summary email user username name value val dump log stolen steal b64 base64 enc encoded hex input memory doc file'
  ).split(' '),
);

/** Search pages whose address an outsider cannot read. */
const SEARCHES =
  /^(www\.)?(google\.[a-z.]{2,6}|bing\.com|duckduckgo\.com|[a-z]{2}\.wikipedia\.org|youtube\.com|github\.com|stackoverflow\.com|npmjs\.com|pypi\.org|developer\.mozilla\.org)$/;
const SEARCH_PATHS = /^\/(search|results|w\/index\.php|)$/;

/** Placeholders that a program or the model itself would fill in. */
const PLACEHOLDER = /\{\{?[^{}]*\}?\}|\$\{[^}]*\}|\[[A-Z][A-Z _-]+\]|<[A-Z][A-Z _-]+>/;
/** Those that the gateway fills in (`Placeholders`), as they stand in a text: the address would leave with somebody's value in it. */
export const RESTORED: RegExp = /\[[A-Z][A-Z0-9_]{0,38}_\d{1,6}\]/;

/** Of an address that is fetched by itself: anything that is not plainly about looks. */
export function carriedUnasked(url: URL): Carrier | null {
  const encoded = carriedInCode(url);
  if (encoded !== null) return encoded;
  if (url.username !== '' || url.password !== '') return 'user';
  if (PLACEHOLDER.test(decode(url.href))) return 'query';
  for (const [name, value] of parameters(url)) {
    if (value === '' ? name.length > 12 : !looksOnly(name.toLowerCase(), value)) return 'query';
  }
  if (segments(url).some((segment) => words(segment) >= 6)) return 'path';
  return null;
}

/** Of an address that somebody has to follow. */
export function carriedByClick(url: URL): Carrier | null {
  const encoded = carriedInCode(url);
  if (encoded !== null) return encoded;
  if (SEARCHES.test(url.hostname) && SEARCH_PATHS.test(url.pathname)) return null;
  for (const [name, value] of parameters(url)) {
    const key = name.toLowerCase();
    if (value === '') {
      if (isMixed(name) && name.length >= 12) return 'query';
    } else if (ASKED.has(key)) {
      if (value.length >= 64 || words(value) >= 6) return 'query';
    } else if (CARRIED.has(key) && value.length >= 4 && !/^[\d.]{1,8}$/.test(value)) return 'query';
    else if (words(value) >= 4) return 'query';
  }
  return null;
}

/** Text that was put into base64 or hexadecimal digits, anywhere in an address. */
function carriedInCode(url: URL): Carrier | null {
  if (parameters(url).some(([name, value]) => isEncodedText(value, 12) || isEncodedText(name, 16))) return 'query';
  if (isEncodedText(url.hash.slice(1), 16)) return 'fragment';
  if (segments(url).some((segment) => isEncodedText(segment.replace(/\.[a-z0-9]{2,4}$/i, ''), 16))) return 'path';
  if (isEncodedText(decode(url.username), 12) || isEncodedText(decode(url.password), 12)) return 'user';
  if (url.hostname.split('.').some((label) => label.length >= 20 && (isEncodedText(label, 16) || isMixed(label)))) return 'host';
  return null;
}

function looksOnly(name: string, value: string): boolean {
  if (/^[\d.,:x-]{1,13}$/.test(value) || /^(true|false|auto|yes|no|identicon|retro|robohash|blank)$/i.test(value)) return true;
  return LOOKS.has(name) && value.length <= 48 && words(value) <= 4;
}

export function parameters(url: URL): [name: string, value: string][] {
  return [...url.searchParams];
}

export function segments(url: URL): string[] {
  return url.pathname.split('/').map(decode);
}

/** Percent-decoded; as it is where it cannot be. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // malformed: what is written is what is judged
  }
}

function words(value: string): number {
  return value.split(/[\s+]+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** Letters and digits in turn, as in tokens and identifiers, not in words. */
function isMixed(value: string): boolean {
  return (value.match(/[a-z][0-9]|[0-9][a-z]/gi)?.length ?? 0) >= 3;
}

/** Whether base64 (either alphabet) or hexadecimal digits stand for readable text. */
export function isEncodedText(value: string, least: number): boolean {
  return decodedText(value, least) !== null;
}

/** The text behind base64 or hexadecimal digits, or null where they stand for none. */
export function decodedText(value: string, least: number): string | null {
  if (value.length < least) return null;
  if (/^(?:[0-9a-f]{2})+$/i.test(value)) {
    const text = readable(Buffer.from(value, 'hex'));
    if (text !== null) return text;
  }
  return /^[A-Za-z0-9+/_\s-]+={0,2}$/.test(value) ? readable(Buffer.from(value.replace(/\s/g, '+'), 'base64')) : null;
}

const NOT_READABLE = /[^\t\n\r -~\u00a0-\uffff]/;

function readable(bytes: Buffer): string | null {
  if (bytes.length < 6) return null;
  const text = bytes.toString('utf8');
  if (text.includes('\ufffd') || NOT_READABLE.test(text)) return null;
  const letters = text.match(/[\p{L}\p{N}\s]/gu)?.length ?? 0;
  return letters >= text.length * 0.7 ? text : null;
}
