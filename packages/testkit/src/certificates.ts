import 'reflect-metadata'; // needed by the ASN.1 library before it loads
import { createHash, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate with its private key, as PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
  /** SHA-256 of the certificate, lower-case hex without colons. */
  readonly fingerprint: string;
  /** `sha256/BASE64` of the SubjectPublicKeyInfo (RFC 7469). */
  readonly pin: string;
}

/** Validity. Both ends are epoch milliseconds; the default is an hour either side of now. */
export interface Validity {
  readonly notBefore?: number;
  readonly notAfter?: number;
}

export interface ServerRequest extends Validity {
  /** DNS names and IP addresses. */
  readonly names?: readonly string[];
}

export interface ClientRequest extends Validity {
  readonly name?: string;
  /** `spiffe://trust-domain/path`, put in the URI SAN as an X.509-SVID has it. Any text is accepted, so that bad ones can be tried. */
  readonly uris?: readonly string[];
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR = 3_600_000;

/** A certificate authority that lives in memory. Keys are ECDSA P-256. */
export class Authority {
  /** The authority's own certificate, PEM. */
  readonly cert: string;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #name: string;

  private constructor(cert: string, keys: webcrypto.CryptoKeyPair, name: string) {
    this.cert = cert;
    this.#keys = keys;
    this.#name = name;
  }

  static async create(commonName: string = 'Test authority', validity: Validity = {}): Promise<Authority> {
    const keys = await generateKeys();
    const name = `CN=${commonName}`;
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name,
      ...dates(validity),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 1, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new Authority(certificate.toString('pem'), keys, name);
  }

  /** A server certificate for `localhost`, 127.0.0.1 and ::1 unless told otherwise. */
  issueServer(request: ServerRequest = {}): Promise<IssuedCertificate> {
    const names = request.names ?? ['localhost', '127.0.0.1', '::1'];
    const alternatives = names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }));
    return this.#issue(`CN=${names[0] ?? 'server'}`, request, [
      new SubjectAlternativeNameExtension(alternatives),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    ]);
  }

  issueClient(request: ClientRequest = {}): Promise<IssuedCertificate> {
    const uris = request.uris ?? [];
    const extensions: Extension[] = [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])];
    if (uris.length > 0) extensions.push(new SubjectAlternativeNameExtension(uris.map((value) => ({ type: 'url' as const, value }))));
    return this.#issue(`CN=${request.name ?? 'client'}`, request, extensions);
  }

  async #issue(subject: string, validity: Validity, extensions: readonly Extension[]): Promise<IssuedCertificate> {
    const keys = await generateKeys();
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serial(),
      subject,
      issuer: this.#name,
      ...dates(validity),
      signingKey: this.#keys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [new BasicConstraintsExtension(false), new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true), ...extensions],
    });
    const cert = certificate.toString('pem');
    const parsed = new X509Certificate(cert);
    const publicKey = parsed.publicKey.export({ type: 'spki', format: 'der' });
    return {
      cert,
      key: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
      fingerprint: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
      pin: `sha256/${createHash('sha256').update(publicKey).digest('base64')}`,
    };
  }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** A positive serial number (RFC 5280 section 4.1.2.2). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function dates(validity: Validity): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(validity.notBefore ?? now - HOUR), notAfter: new Date(validity.notAfter ?? now + HOUR) };
}
