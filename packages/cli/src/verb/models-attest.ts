import { readFileSync } from 'node:fs';
import { attestScan, type FileReport, readPrivateKey, SignatureInvalid } from '@sallyport/scanner';
import { UsageError } from '../terminal.ts';

/** Collects signed attestations of scans. */
export interface Attestor {
  /** A file that could not be digested is left out: nothing can be said of it. */
  add(report: FileReport): void;
  /** One bundle a line. */
  text(): string;
}

/** Throws `UsageError` where the key cannot be used. */
export function openAttestor(path: string): Attestor {
  const privateKey = readKey(path);
  const attestations: Buffer[] = [];
  return {
    add: (report) => {
      if (report.sha256 !== '') attestations.push(attestScan(report, { privateKey }));
    },
    text: () => `${attestations.map(String).join('\n')}\n`,
  };
}

function readKey(path: string): ReturnType<typeof readPrivateKey> {
  try {
    return readPrivateKey(readFileSync(path), process.env['SALLYPORT_KEY_PASSPHRASE']);
  } catch (error) {
    if (error instanceof SignatureInvalid) throw new UsageError(`--attest-key: ${error.message}`);
    throw error;
  }
}
