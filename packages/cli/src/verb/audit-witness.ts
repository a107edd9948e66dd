import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { formatListen, parseListen, resolveSecret } from '@sallyport/control';
import { systemClock } from '@sallyport/core';
import { Egress } from '@sallyport/egress';
import {
  cosignLog,
  loadWitnessKeys,
  MalformedNote,
  NoProof,
  parseVerifierKey,
  sealedSizes,
  verifyEntryProof,
  Witness,
  WitnessRefused,
} from '@sallyport/ledger';
import type { Command } from 'commander';
import { readConfig, systemRandom } from '../installation.ts';
import { serveWitness } from '../process/witness-server.ts';
import { EXIT, plain, print, result, table, tell, UsageError } from '../terminal.ts';
import { collect, globalOptions } from './options.ts';

/** `witness`, `cosign` and `check-proof`: what other machines have to do with the ledger. */
export function addWitness(audit: Command): void {
  audit
    .command('witness')
    .description('be a witness of logs of another machine: cosign their checkpoints while they only grow. Runs until it is stopped')
    .requiredOption('--name <name>', 'its key name, a URL without scheme: witness.example/sallyport')
    .requiredOption('--log-key <key>', 'verifier key of a log, from its log.json (again for more)', collect)
    .option('--directory <directory>', 'its keys, and the newest checkpoint of each log; default: witness in the home')
    .option('--listen <address>', 'host:port', '127.0.0.1:7072')
    .addHelpText('after', '\nExample:\n  $ sallyport audit witness --name witness.example/gw --log-key sallyport/8ac7…/serve+1f6c…+AQ…')
    .action(async (options: { name: string; logKey: string[]; directory?: string; listen: string }, command: Command) => {
      const { place, logger } = globalOptions(command);
      const listen = parseListen(options.listen);
      if (listen === null) throw new UsageError(`--listen: expected host:port, got ${options.listen}`);
      if (!/^[^\s+]{1,255}$/.test(options.name)) throw new UsageError('--name: expected a URL without scheme, without spaces and +');
      const origins = keysOf(options.logKey, '--log-key');
      const directory = options.directory ?? join(place.home, 'witness');
      const keys = await loadWitnessKeys(join(directory, 'keys'), systemRandom);
      const { name, logKey: logs } = options;
      await using witness = await Witness.open({
        directory: join(directory, 'logs'),
        name,
        keys,
        logs,
        clock: systemClock,
        random: systemRandom,
      });
      await using server = await serveWitness(witness, origins, listen, logger);
      for (const key of witness.verifierKeys()) print(key);
      tell(`The witness listens on http://${formatListen(server.address)}. Its keys above are what logs and verifiers are given.`);
      await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    });
  audit
    .command('cosign')
    .description('have a witness cosign the newest checkpoint of each log; for a timer. Exits with 1 where it does not')
    .argument('<url>', 'of the witness: what stands before /add-checkpoint')
    .requiredOption('--witness-key <key>', 'verifier key of the witness (again for more)', collect)
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  $ sallyport audit cosign http://10.0.0.9:7072 --witness-key witness.example/gw+5a0b…+BA…')
    .action(async (url: string, { witnessKey, json = false }: { witnessKey: string[]; json?: boolean }, command: Command) => {
      const { place, logger } = globalOptions(command);
      const { config } = await readConfig(place, false);
      if (!URL.canParse(url) || !/^https?:/.test(url)) throw new UsageError(`url: expected http:// or https://, got ${url}`);
      keysOf(witnessKey, '--witness-key');
      await using egress = new Egress({ settings: config.egress, resolveSecret: (reference) => resolveSecret(reference).value, logger });
      egress.name('witness', [{ url, private: true }]);
      const submit = async (body: string): Promise<{ status: number; body: string }> => {
        const answer = await egress.request(`${url.replace(/\/+$/, '')}/add-checkpoint`, { method: 'POST', body, maxBytes: 1 << 16 });
        return { status: answer.status, body: answer.body.toString() };
      };
      const { directory } = config.audit;
      const rows: { log: string; size: number | null; problem: string | null }[] = [];
      for (const log of (await sealedSizes(directory)).keys()) {
        try {
          const note = await cosignLog(directory, log, witnessKey, submit);
          rows.push({ log, size: Number(note.split('\n')[1]), problem: null });
        } catch (error) {
          // One log's trouble, or a connection's, says nothing of the next one.
          const isKnown =
            error instanceof WitnessRefused || error instanceof NoProof || error instanceof MalformedNote || isOfSystem(error);
          if (!isKnown) throw error;
          rows.push({ log, size: null, problem: error.message });
        }
      }
      process.exitCode = rows.length > 0 && rows.every(({ problem }) => problem === null) ? EXIT.done : EXIT.refused;
      if (json) for (const row of rows) print(JSON.stringify(row));
      else
        print(
          table(
            ['LOG', 'COSIGNED', ''],
            rows.map(({ log, size, problem }) => [log, size === null ? '-' : String(size), problem ?? '']),
          ),
        );
    });
  audit
    .command('check-proof')
    .description('check what `audit prove` wrote, with nothing but public keys. Exits with 1 where it proves nothing')
    .argument('<file>', 'the proof; - for standard input')
    .requiredOption('--public-key <key>', 'verifier key of the log (again for more)', collect)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit check-proof proof.json --public-key sallyport/8ac7…/serve+1f6c…+AQ…')
    .action(async (file: string, { publicKey, json = false }: { publicKey: string[]; json?: boolean }) => {
      keysOf(publicKey, '--public-key');
      const proof = parseProof(await text(file === '-' ? process.stdin : createReadStream(file)));
      try {
        const proven = verifyEntryProof(proof, publicKey);
        const signed = proven.signedAt === null ? '' : `, signed ${new Date(proven.signedAt * 1000).toISOString()}`;
        result(json, { ok: true, ...proven }, () =>
          plain(`Entry ${proven.entry.seq} is in the log ${proven.origin} of ${proven.size} entries${signed}.`),
        );
      } catch (error) {
        if (!(error instanceof MalformedNote)) throw error;
        process.exitCode = EXIT.refused;
        result(json, { ok: false, problem: error.message }, () => `Nothing is proved: ${error.message}.`);
      }
    });
}

/** An error of the file system, of a connection, or of the egress rules. */
function isOfSystem(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

/** The names of verifier keys. Throws `UsageError` where one is none. */
function keysOf(keys: readonly string[], option: string): string[] {
  try {
    return [...new Set(keys.map((key) => parseVerifierKey(key).name))];
  } catch (error) {
    if (error instanceof MalformedNote) throw new UsageError(`${option}: ${error.message}`);
    throw error;
  }
}

function parseProof(json: string): { entry: string; proof: string } {
  try {
    const { entry, proof }: Record<string, unknown> = JSON.parse(json);
    if (typeof entry === 'string' && typeof proof === 'string') return { entry, proof };
  } catch {
    // Told below, as what is JSON and no proof.
  }
  throw new UsageError('The proof is not what audit prove writes: a JSON object with entry and proof.');
}
