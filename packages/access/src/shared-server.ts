import { Redis } from 'iovalkey';

/** The Redis or Valkey that the processes of an installation share. */
export interface SharedServer {
  /** `redis://` or `rediss://` (TLS), without a password. */
  readonly url: string;
  readonly password: string | null;
  /** Authorities to trust instead of the system's, PEM. */
  readonly ca?: string | null;
}

/**
 * A connection that is made anew whenever it breaks, and sends nothing twice. `patience`: how long an answer may take, milliseconds. Not
 * connected yet.
 */
export function connectionTo({ url, password, ca }: SharedServer, patience: number): Redis {
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 2_000,
    commandTimeout: patience,
    retryStrategy: (attempt) => Math.min(attempt * 50, 500),
    ...(password === null ? {} : { password }),
    ...(url.startsWith('rediss:') && ca !== undefined && ca !== null ? { tls: { ca } } : {}),
  });
  // Each failed attempt to connect is one; what matters of it shows otherwise.
  client.on('error', () => undefined);
  return client;
}

/** Whether nothing was heard in time: the other end may be gone without a word, and the connection never break by itself. */
export function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out';
}
