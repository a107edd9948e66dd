import { at } from '../format/json.ts';
import type { FileReport, FileVerdict } from '../report.ts';
import { RULES_DIGEST, RULES_VERSION } from '../rules-digest.ts';
import { parseBundle } from './bundle.ts';
import { type SigningMaterial, signPayload } from './sign.ts';
import { parse, SignatureInvalid, STATEMENT_TYPE } from './statement.ts';
import { type SignerIdentity, type Trust, verifyBundle } from './verify.ts';

/** The in-toto predicate for the result of a test (in-toto attestation, predicates/test-result v0.1). */
export const SCAN_PREDICATE = 'https://in-toto.io/attestation/test-result/v0.1';

/**
 * A signed statement of what a scan found, detached from the file: its digest, the verdict, the rules that fired, and the rule set that
 * judged, in a DSSE envelope in a Sigstore bundle. Only `clean` is `PASSED`.
 */
export function attestScan(report: FileReport, material: SigningMaterial): Buffer {
  if (report.sha256 === '') throw new SignatureInvalid('the file was not digested, so nothing can be said of it');
  const payload = Buffer.from(
    JSON.stringify({
      _type: STATEMENT_TYPE,
      subject: [{ name: report.path, digest: { sha256: report.sha256 } }],
      predicateType: SCAN_PREDICATE,
      predicate: {
        result: report.verdict === 'clean' ? 'PASSED' : 'FAILED',
        configuration: [{ name: `sallyport-scanner-rules ${RULES_VERSION}`, digest: { sha256: RULES_DIGEST } }],
        verdict: report.verdict,
        format: report.format,
        failedTests: [...new Set(report.findings.map(({ rule }) => rule))].sort(),
      },
    }),
  );
  return signPayload(payload, material);
}

export interface AttestedScan {
  readonly sha256: string;
  readonly verdict: FileVerdict;
  /** Digest of the rule set that judged; another than `RULES_DIGEST` means the verdict is of other rules. */
  readonly rulesDigest: string;
  readonly signer: SignerIdentity;
}

/** Reads an attestation whose signature holds. Throws `SignatureInvalid`. */
export function verifyAttestation(bundle: Buffer, trust: Trust, now?: Date): AttestedScan {
  const parsed = parseBundle(bundle);
  const signer = verifyBundle(parsed, trust, now);
  const statement = parse(parsed.payload, 'the statement');
  if (at(statement, '_type') !== STATEMENT_TYPE || at(statement, 'predicateType') !== SCAN_PREDICATE)
    throw new SignatureInvalid('the statement is not the result of a scan');
  const subjects = at(statement, 'subject');
  const configurations = at(statement, 'predicate', 'configuration');
  const sha256 = at(Array.isArray(subjects) ? subjects[0] : undefined, 'digest', 'sha256');
  const rulesDigest = at(Array.isArray(configurations) ? configurations[0] : undefined, 'digest', 'sha256');
  const verdict = at(statement, 'predicate', 'verdict');
  if (typeof sha256 !== 'string' || typeof rulesDigest !== 'string' || !isVerdict(verdict))
    throw new SignatureInvalid('the statement lacks a digest or a verdict');
  return { sha256, verdict, rulesDigest, signer };
}

function isVerdict(value: unknown): value is FileVerdict {
  return typeof value === 'string' && ['clean', 'not-scanned', 'inconclusive', 'malformed', 'suspicious', 'malicious'].includes(value);
}
