import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { at, type Json } from '../format/json.ts';
import { parseBundle } from './bundle.ts';
import { parse, SignatureInvalid } from './statement.ts';
import { readCertificates, readPublicKey, type Trust, type VerifyOptions, type VerifyReport, verifyModel } from './verify.ts';

/** A publisher whose models may be deployed, and how its signatures are known. */
export interface Publisher {
  readonly name: string;
  readonly trust: Trust;
}

/**
 * `{"publishers": [{"name", "key": FILE} | {"name", "certificates": FILE, "subject"} | {"name", "sigstore": {"trustRoot": FILE, "identity",
 * "issuer"}}]}`; files are relative to the policy. Throws `SignatureInvalid` naming the entry, and what reading a file throws.
 */
export function readPublishers(path: string): Publisher[] {
  const list = at(parse(readFileSync(path), 'the policy'), 'publishers');
  if (!Array.isArray(list) || list.length === 0) throw new SignatureInvalid('publishers: expected a list of publishers');
  return list.map((entry, index) => {
    const name = at(entry, 'name');
    if (typeof name !== 'string' || name === '') throw new SignatureInvalid(`publishers[${index}].name: expected a name`);
    return { name, trust: readTrust(entry, `publishers[${index}]`, dirname(path)) };
  });
}

function readTrust(entry: Json, where: string, folder: string): Trust {
  const file = (value: Json | undefined, field: string): Buffer => {
    if (typeof value !== 'string') throw new SignatureInvalid(`${where}.${field}: expected the path of a file`);
    return readFileSync(resolve(folder, value));
  };
  const key = at(entry, 'key');
  if (key !== undefined) return { method: 'key', publicKey: readPublicKey(file(key, 'key')) };
  const certificates = at(entry, 'certificates');
  if (certificates !== undefined) {
    const subject = at(entry, 'subject');
    // Without a subject any certificate of the authority would do: that is a choice to be made, not to be forgotten.
    if (typeof subject !== 'string') throw new SignatureInvalid(`${where}.subject: expected the subject of the certificate`);
    return { method: 'certificate', trusted: readCertificates(file(certificates, 'certificates')), subject };
  }
  const identity = at(entry, 'sigstore', 'identity');
  const issuer = at(entry, 'sigstore', 'issuer');
  if (typeof identity !== 'string' || typeof issuer !== 'string')
    throw new SignatureInvalid(`${where}: expected key, certificates or sigstore with trustRoot, identity and issuer`);
  return { method: 'sigstore', trustRoot: file(at(entry, 'sigstore', 'trustRoot'), 'sigstore.trustRoot'), identity, issuer };
}

export interface PublisherReport extends VerifyReport {
  /** The first publisher of the list whose signature it is; null where it is nobody's. */
  readonly publisher: string | null;
}

/** Verifies with whatever publisher of the list the signature is by. */
export function verifyByPublishers(
  model: string,
  bundle: Buffer,
  publishers: readonly Publisher[],
  options: Omit<VerifyOptions, 'trust'>,
): PublisherReport {
  let last: PublisherReport | null = null;
  let method = '';
  try {
    ({ method } = parseBundle(bundle).material);
  } catch (error) {
    if (!(error instanceof SignatureInvalid)) throw error;
  }
  for (const { name, trust } of publishers) {
    if (method !== '' && trust.method !== method) continue;
    const report = verifyModel(model, bundle, { ...options, trust });
    if (report.signer !== null) return { ...report, publisher: name };
    last = { ...report, publisher: null };
  }
  const message = `the signature (${method === '' ? 'unreadable' : method}) is by no trusted publisher`;
  return last === null || publishers.length > 1
    ? { verified: false, signer: null, rootDigest: '', resources: 0, problems: [{ problem: 'signature', message }], publisher: null }
    : last;
}
