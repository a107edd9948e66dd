import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type AttestedScan,
  digestFile,
  type FileVerdict,
  type HashType,
  ModelUnreadable,
  parseChecksums,
  RULES_DIGEST,
  readCertificates,
  readPrivateKey,
  readPublicKey,
  readPublishers,
  SHARD_SIZE,
  SignatureInvalid,
  type SigningMaterial,
  signModel,
  type Trust,
  verifyAttestation,
  verifyByPublishers,
  verifyChecksums,
  verifyModel,
  worseVerdict,
} from '@sallyport/scanner';
import { Command } from 'commander';
import { EXIT, plain, print, result, UsageError } from '../terminal.ts';
import { Progress } from './models-progress.ts';
import { collect } from './options.ts';

interface SignFlags {
  readonly key: string;
  readonly certificate?: string;
  readonly chain?: string;
  readonly signature?: string;
  readonly shards?: boolean;
  readonly shardSize?: string;
  readonly hash: string;
  readonly allowSymlinks?: boolean;
  readonly ignore?: string[];
  readonly json?: boolean;
}

export function signCommand(): Command {
  return new Command('sign')
    .description('sign a model, a file or a directory, as OpenSSF Model Signing v1.0 says')
    .argument('<model>', 'file or directory')
    .requiredOption('--key <file>', 'private key (PEM; P-256, P-384 or P-521); its passphrase in SALLYPORT_KEY_PASSPHRASE')
    .option('--certificate <file>', 'certificate of the key (PEM): signs by certificate')
    .option('--chain <file>', 'certificates between that and the root (PEM)')
    .option('--signature <file>', 'where to write the bundle; default: model.sig in the directory, or the file with .sig')
    .option('--shards', 'sign shards of each file instead of whole files')
    .option('--shard-size <bytes>', `bytes of a shard; default: ${SHARD_SIZE}`)
    .option('--hash <name>', 'sha256, blake2b or blake3', 'sha256')
    .option('--allow-symlinks', 'follow links to files inside the model')
    .option('--ignore <path>', 'path in the model that is not signed (again for more)', collect)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport models sign ./llama --key signing.pem')
    .action((model: string, flags: SignFlags) => {
      const bundlePath = flags.signature ?? defaultSignature(model);
      const progress = new Progress([]);
      let last = 0;
      const signed = usable('models sign', () =>
        signModel(model, {
          material: signingMaterial(flags),
          method: flags.shards === true ? 'shards' : 'files',
          hashType: hashType(flags.hash),
          shardSize: shardSize(flags.shardSize),
          allowSymlinks: flags.allowSymlinks === true,
          ignorePaths: flags.ignore ?? [],
          bundlePath,
          onProgress: (bytes) => {
            progress.add(bytes - last);
            last = bytes;
          },
        }),
      );
      progress.clear();
      writeFileSync(bundlePath, signed.bundle);
      const { rootDigest, resources } = signed;
      result(flags.json === true, { model, signature: bundlePath, rootDigest, resources }, () =>
        plain(`signed ${resources} ${flags.shards === true ? 'shards' : 'files'} of ${model} as ${rootDigest} in ${bundlePath}`),
      );
    });
}

interface VerifyFlags {
  readonly signature?: string;
  readonly publicKey?: string;
  readonly certificates?: string;
  readonly subject?: string;
  readonly trustRoot?: string;
  readonly identity?: string;
  readonly issuer?: string;
  readonly publishers?: string;
  readonly checksums?: string;
  readonly attestations?: string;
  readonly ignoreUnsigned?: boolean;
  readonly json?: boolean;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description('verify who signed a model and that it is what was signed. Exits with 1 where it is not')
    .argument('<model>', 'file or directory')
    .option('--signature <file>', 'the bundle; default: model.sig in the directory, or the file with .sig')
    .option('--public-key <file>', 'trust this key (PEM)')
    .option('--certificates <file>', 'trust these certificates (PEM)')
    .option('--subject <name>', 'with --certificates: the subject that must have signed')
    .option('--trust-root <file>', 'trust this Sigstore instance (trusted_root.json), with --identity and --issuer')
    .option('--identity <name>', 'who must have signed: exactly this address or URI')
    .option('--issuer <url>', 'who must have vouched for that identity')
    .option('--publishers <file>', 'trust the publishers of this policy (docs/scanner.md)')
    .option('--checksums <file>', 'hold it against SHA256SUMS or a Git LFS pointer instead of a signature')
    .option('--attestations <file>', 'hold a file against attestations of its scan, with --public-key or --certificates')
    .option('--ignore-unsigned', 'files that were not signed do not fail the verification')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport models verify ./llama --public-key publisher.pem')
    .action((model: string, flags: VerifyFlags) => {
      if (!existsSync(model)) throw new UsageError(`${model}: no such file or directory`);
      const report = usable('models verify', () => verify(model, flags));
      print(flags.json === true ? JSON.stringify({ model, ...report }) : describe(model, report));
      process.exitCode = report.verified ? EXIT.done : EXIT.refused;
    });
}

interface Outcome {
  readonly verified: boolean;
  readonly problems: readonly { readonly problem: string; readonly message: string }[];
  readonly [field: string]: unknown;
}

function verify(model: string, flags: VerifyFlags): Outcome {
  const { publicKey, certificates, trustRoot, publishers, checksums } = flags;
  if ([publicKey, certificates, trustRoot, publishers, checksums].filter((way) => way !== undefined).length !== 1)
    throw new UsageError('models verify: give exactly one of --public-key, --certificates, --trust-root, --publishers and --checksums');
  if (flags.attestations !== undefined && (publishers ?? checksums ?? flags.signature) !== undefined)
    throw new UsageError('models verify: --attestations goes with --public-key, --certificates or --trust-root alone');
  if (flags.subject !== undefined && certificates === undefined) throw new UsageError('models verify: --subject goes with --certificates');
  if (flags.checksums !== undefined) {
    const list = parseChecksums(readFileSync(flags.checksums, 'utf8'));
    return { ...verifyChecksums(model, list, basename(flags.checksums)) };
  }
  if (flags.attestations !== undefined) return verifyScans(model, flags.attestations, chosenTrust(flags));
  const bundlePath = flags.signature ?? defaultSignature(model);
  const bundle = readFileSync(bundlePath);
  const ignoreUnsigned = flags.ignoreUnsigned === true;
  if (flags.publishers !== undefined)
    return { ...verifyByPublishers(model, bundle, readPublishers(flags.publishers), { bundlePath, ignoreUnsigned }) };
  return { ...verifyModel(model, bundle, { trust: chosenTrust(flags), bundlePath, ignoreUnsigned }) };
}

/** A file is vouched for where some scan by these rules called it clean, and none that is attested called it anything else. */
function verifyScans(model: string, path: string, trust: Trust): Outcome {
  const { sha256 } = digestFile(model);
  const problems: { problem: string; message: string }[] = [];
  let clean: AttestedScan | null = null;
  let worst: FileVerdict = 'clean';
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line.trim() === '') continue;
    try {
      const scan = verifyAttestation(Buffer.from(line), trust);
      if (scan.sha256 !== sha256) continue;
      worst = worseVerdict(worst, scan.verdict);
      if (scan.verdict === 'clean' && scan.rulesDigest === RULES_DIGEST) clean = scan;
      else if (scan.verdict === 'clean') problems.push({ problem: 'rules', message: 'the scan was by another rule set: scan again' });
    } catch (error) {
      if (!(error instanceof SignatureInvalid)) throw error;
      problems.push({ problem: 'signature', message: error.message });
    }
  }
  if (worst !== 'clean') problems.unshift({ problem: 'verdict', message: `the scan found it ${worst}` });
  else if (clean !== null) return { verified: true, sha256, verdict: clean.verdict, signer: clean.signer, problems: [] };
  if (problems.length === 0) problems.push({ problem: 'missing', message: 'no attestation is of this file' });
  return { verified: false, sha256, problems };
}

function chosenTrust(flags: VerifyFlags): Trust {
  if (flags.publicKey !== undefined) return { method: 'key', publicKey: readPublicKey(readFileSync(flags.publicKey)) };
  if (flags.certificates !== undefined) {
    const subject = flags.subject === undefined ? {} : { subject: flags.subject };
    return { method: 'certificate', trusted: readCertificates(readFileSync(flags.certificates)), ...subject };
  }
  if (flags.identity === undefined || flags.issuer === undefined)
    throw new UsageError('models verify: --trust-root needs --identity and --issuer: anyone can sign with Sigstore');
  return { method: 'sigstore', trustRoot: readFileSync(flags.trustRoot ?? ''), identity: flags.identity, issuer: flags.issuer };
}

function signingMaterial({ key, certificate, chain }: SignFlags): SigningMaterial {
  const privateKey = readPrivateKey(readFileSync(key), process.env['SALLYPORT_KEY_PASSPHRASE']);
  if (certificate === undefined) return { privateKey };
  const rest = chain === undefined ? [] : readCertificates(readFileSync(chain));
  return { privateKey, chain: [...readCertificates(readFileSync(certificate)), ...rest] };
}

function hashType(name: string): HashType {
  if (name === 'sha256' || name === 'blake2b' || name === 'blake3') return name;
  throw new UsageError(`--hash: expected sha256, blake2b or blake3, got ${name}`);
}

function shardSize(text: string | undefined): number {
  if (text === undefined) return SHARD_SIZE;
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new UsageError(`--shard-size: expected a number of bytes, got ${text}`);
  return Number(text);
}

function defaultSignature(model: string): string {
  return statSync(model, { throwIfNoEntry: false })?.isDirectory() === true ? join(model, 'model.sig') : `${model}.sig`;
}

/** What a file given on the command line is wrong about is wrong use; what a model or a bundle is wrong about is in the report. */
function usable<T>(verb: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SignatureInvalid) throw new UsageError(`${verb}: ${error.message}`);
    if (error instanceof ModelUnreadable) throw new UsageError(`${verb}: ${error.path} ${error.message}`);
    throw error;
  }
}

function describe(model: string, report: Outcome): string {
  const { signer, publisher } = report;
  const who = typeof signer === 'object' && signer !== null && 'name' in signer ? ` signed by ${String(signer.name)}` : '';
  const known = typeof publisher === 'string' ? ` (${publisher})` : '';
  const lines = report.problems.map(({ problem, message }) => plain(`    ${problem}: ${message}`));
  return [plain(`${report.verified ? 'verified' : 'REFUSED'}  ${model}${who}${known}`), ...lines].join('\n');
}
