/**
 * Where a text would make its reader's program go.
 * - `image`: fetched as soon as the reply is shown (images, CSS, fonts, reference definitions, which an image may use)
 * - `active`: runs, submits or replaces the page (frames, scripts, forms, refreshes, base addresses)
 * - `link`: followed when somebody clicks · `bare`: an address in running text, which most programs make a link
 * - `code`: an address in a block of code, which nothing follows by itself
 */
export type Form = 'image' | 'active' | 'link' | 'bare' | 'code';

/** How a destination is written, which decides what in it is decoded before it is used. */
export type Syntax = 'markdown' | 'html' | 'css' | 'plain';

/** Base for destinations that name no host; a name that cannot be resolved (RFC 6761). */
const HERE = 'https://here.invalid/';

/**
 * The address a browser would use, or null where it stays on the page's own host or is none. Decoding follows the syntax; what is left
 * (tabs and line feeds inside, backslashes for slashes, one slash for two, IDNA) is the URL standard's, so its parser does it.
 */
export function resolve(raw: string, syntax: Syntax): URL | null {
  let text = raw;
  if (syntax === 'markdown') text = decodeEntities(text.replace(/\\([!-/:-@[-`{-~])/g, '$1'));
  else if (syntax === 'html') text = decodeEntities(text);
  else if (syntax === 'css') text = decodeCss(text);
  if (/^www\./i.test(text)) text = `https://${text}`;
  const url = URL.parse(text, HERE);
  return url === null || url.host === 'here.invalid' ? null : url;
}

/** The named references that can stand for a character of an address; the others are letters and signs of prose. */
const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  colon: ':',
  sol: '/',
  bsol: '\\',
  quest: '?',
  equals: '=',
  num: '#',
  period: '.',
  commat: '@',
  percnt: '%',
  lowbar: '_',
  hyphen: '‐',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  lpar: '(',
  rpar: ')',
  tab: '\t',
  newline: '\n',
  nbsp: ' ',
};

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,8}));?/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return character(Number.parseInt(hex, 16));
    if (decimal !== undefined) return character(Number.parseInt(decimal, 10));
    return NAMED[(name ?? '').toLowerCase()] ?? whole;
  });
}

function decodeCss(text: string): string {
  return text.replace(/\\([0-9a-f]{1,6})\s?/gi, (_, hex: string) => character(Number.parseInt(hex, 16)));
}

function character(codePoint: number): string {
  return codePoint > 0 && codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : '\ufffd';
}

/** Addresses of a `srcset`: candidates separated by commas, each an address and a descriptor. */
export function candidates(value: string): string[] {
  return value.split(/[\s,]+/).filter((part) => part !== '' && !/^\d+(\.\d+)?[wxh]$/.test(part));
}

/** Addresses in the value of a `style`. */
export function cssAddresses(value: string): string[] {
  return [...decodeCss(decodeEntities(value)).matchAll(/(?:url|image|image-set|src)\(\s*(?:"([^"]*)"|'([^']*)'|([^\s)"']+))/gi)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
}
