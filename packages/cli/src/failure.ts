import { ConfigError, formatProblem, HomeError, SecretError, WrongPepper } from '@sallyport/control';
import { Fault } from '@sallyport/core';
import { KeyFileError, LedgerUnavailable, LogDamaged, LogLocked, NoProof, UnreadableEntry } from '@sallyport/ledger';
import { EXIT, UsageError } from './terminal.ts';

/** An error as a person reads it, and the exit status it means. Defects of ours keep their stack. */
export function describeError(error: unknown): { readonly text: string; readonly exit: number } {
  if (error instanceof ConfigError)
    return { text: `The configuration cannot be used:\n${error.problems.map(formatProblem).join('\n')}`, exit: EXIT.unusable };
  if (error instanceof HomeError || error instanceof SecretError || error instanceof WrongPepper || error instanceof KeyFileError)
    return { text: error.message, exit: EXIT.unusable };
  if (error instanceof LogLocked)
    return { text: `${error.message}. Another process writes this log; give this one a name of its own (--writer).`, exit: EXIT.unusable };
  if (error instanceof LogDamaged)
    return { text: `The ledger cannot be opened: ${error.message}. Run sallyport audit verify.`, exit: EXIT.unusable };
  if (error instanceof LedgerUnavailable)
    return { text: `${error.message} (its directory: disk full, read-only or not yours?)`, exit: EXIT.unusable };
  if (error instanceof NoProof || error instanceof UnreadableEntry) return { text: error.message, exit: EXIT.refused };
  if (error instanceof UsageError) return { text: error.message, exit: EXIT.unusable };
  if (error instanceof Fault) {
    const where = error.param === null ? '' : ` (${error.param})`;
    // What has not the right form was never decided: a typing error must not look like a denial.
    const isUndecided = error.code === 'not_ready' || error.code === 'invalid_request';
    return { text: `${error.message}${where}`, exit: isUndecided ? EXIT.unusable : EXIT.refused };
  }
  if (isTaken(error)) {
    const where = `${error.address}:${error.port}`;
    return {
      text: `${error.message}. Stop what listens on ${where}, or give this one another address (listen.gateway, listen.control).`,
      exit: EXIT.unusable,
    };
  }
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error)
    return { text: error.message, exit: EXIT.unusable };
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), exit: EXIT.unusable };
}

/** Node's error where the address is another program's. */
function isTaken(error: unknown): error is Error & { readonly address: string; readonly port: number } {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'address' in error && 'port' in error;
}
