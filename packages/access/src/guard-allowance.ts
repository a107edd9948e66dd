import { createHmac, hkdfSync, type KeyObject } from 'node:crypto';

/** Which use of the pepper this is (RFC 5869, `info`), and of which version. */
const KEY_PURPOSE = 'sallyport guard allowances 1';

/**
 * Detectors that judge what a text means as a whole. Their findings are allowed in exactly one text and nowhere else: an attacker who puts
 * an allowed phrase into words of his own gains nothing by it.
 */
const WHOLE: ReadonlySet<string> = new Set(['injection', 'characters', 'normalise', 'length', 'content']);

/** What is never allowed, whoever asks: keys of this very product, and the mark of a prompt. A contract asks for no allowance. */
const NEVER: ReadonlySet<string> = new Set(['secrets/sallyport-key', 'system-prompt/canary']);

export interface AllowedFinding {
  readonly tenant: string;
  readonly detector: string;
  readonly category: string;
}

/** Whether an allowance of this detector is for a whole text, or for what it matched. */
export function allowsWholeText(detector: string): boolean {
  return WHOLE.has(detector);
}

/** Whether such a finding may be allowed at all. */
export function isAllowable({ detector, category }: Pick<AllowedFinding, 'detector' | 'category'>): boolean {
  return detector !== 'contract' && !NEVER.has(`${detector}/${category}`);
}

/** The key of allowances' digests: the same for every gateway of an installation, and none other of its keys. */
export function allowanceKey(pepper: KeyObject): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', pepper, new Uint8Array(0), KEY_PURPOSE, 32));
}

/**
 * Keyed digest (HMAC-SHA-256, hex) of a finding in a text. Texts count as the same where they differ in canonical Unicode form (NFC), line
 * ends and white space at their edges, and in nothing else.
 */
export function allowanceDigest(key: Uint8Array, { tenant, detector, category }: AllowedFinding, text: string): string {
  const same = text.normalize('NFC').replace(/\r\n?/g, '\n').trim();
  // JSON keeps the parts apart, and half a surrogate pair from looking like another.
  return createHmac('sha256', key)
    .update(JSON.stringify([tenant, detector, category, same]))
    .digest('hex');
}
