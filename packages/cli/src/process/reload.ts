import type { Config } from '@sallyport/control';

/** A setting that is fixed when a process starts: its ports are bound, its database and ledger are open. */
interface Fixed {
  readonly name: string;
  read(config: Config): unknown;
}

const FIXED: readonly Fixed[] = [
  { name: 'listen.gateway', read: ({ listen }) => listen.gateway },
  { name: 'listen.control', read: ({ listen }) => listen.control },
  { name: 'tls', read: ({ tls }) => tls !== null },
  { name: 'tls.clientAuth', read: ({ tls }) => tls?.clientAuth ?? null },
  { name: 'http.maxHeaderBytes', read: ({ http }) => http.maxHeaderBytes },
  { name: 'http.timeouts.headers', read: ({ http }) => http.headersTimeout },
  { name: 'http.timeouts.keepAlive', read: ({ http }) => http.keepAliveTimeout },
  { name: 'storage', read: ({ storage }) => storage },
  { name: 'counters', read: ({ counters }) => counters },
  { name: 'audit', read: ({ audit }) => audit },
  { name: 'telemetry', read: ({ telemetry }) => telemetry },
];

/** What of `asked` a running process takes up, and the names of the settings that changed and wait for a restart. */
export interface Reloadable {
  readonly config: Config;
  readonly waiting: readonly string[];
}

/** `asked` with every setting that needs a restart as it is in `running`. */
export function reloadable(running: Config, asked: Config): Reloadable {
  const waiting = FIXED.filter(({ read }) => JSON.stringify(read(running)) !== JSON.stringify(read(asked))).map(({ name }) => name);
  const { listen, storage, counters, audit, telemetry } = running;
  const { maxHeaderBytes, headersTimeout, keepAliveTimeout } = running.http;
  const http = { ...asked.http, maxHeaderBytes, headersTimeout, keepAliveTimeout };
  const turned = waiting.includes('tls');
  return {
    config: { ...asked, listen, storage, counters, audit, telemetry, http, tls: mergeTls(running.tls, asked.tls) },
    // On or off says it; the rest of the section follows from it.
    waiting: turned ? waiting.filter((name) => name !== 'tls.clientAuth') : waiting,
  };
}

/** Certificates may change; whether there is TLS, and who is asked for a client certificate, may not: its authorities go with that. */
function mergeTls(running: Config['tls'], asked: Config['tls']): Config['tls'] {
  if (running === null || asked === null) return running;
  if (running.clientAuth === asked.clientAuth) return asked;
  return { ...asked, clientAuth: running.clientAuth, clientCa: running.clientCa };
}
