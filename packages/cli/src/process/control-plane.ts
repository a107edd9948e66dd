import {
  type AdminServer,
  type AdminServerOptions,
  type Config,
  type ControlService,
  createAdminServer,
  keyAuthenticator,
  type RiskBoard,
  type SnapshotStatus,
} from '@sallyport/control';
import type { Store } from '@sallyport/store';
import type { Installation } from '../installation.ts';
import { VERSION } from '../version.ts';
import type { DataPlane } from './data-plane.ts';
import type { Telemetry } from './telemetry.ts';
import { readTls } from './tls.ts';

/** The control plane of a process, running. */
export interface ControlPlane extends AsyncDisposable {
  readonly server: AdminServer;
  readonly address: { readonly host: string; readonly port: number };
  /** Reads the certificate a new configuration names, and returns what gives it to new connections. Throws where it cannot be used. */
  prepareReload(config: Config): () => void;
}

/** Starts the admin API. `data` is the data plane of the same process, whose snapshot it shows, or null; `risk` what gateways hold against callers. */
export async function startControlPlane(
  installation: Installation,
  service: ControlService,
  store: Store,
  { data, risk, telemetry }: { readonly data: DataPlane | null; readonly risk: RiskBoard | null; readonly telemetry: Telemetry },
): Promise<ControlPlane> {
  const { config, home, clock, random, logger } = installation;
  const server = createAdminServer({
    service,
    store,
    authenticate: keyAuthenticator(store.keys, home.pepper, clock),
    ...(data === null ? {} : { snapshotStatus: () => statusOf(data) }),
    ...(risk === null ? {} : { risk }),
    metrics: (accept) => telemetry.render(accept),
    metricsPublic: true,
    record: (facts) => installation.record(facts),
    logger,
    clock,
    random,
    version: VERSION,
    trustedProxies: config.http.trustedProxies,
    ...adminTls(config),
  });
  const { address, port } = await server.listen(config.listen.control.host, config.listen.control.port);
  return {
    server,
    address: { host: address, port },
    prepareReload: (next) => {
      const { tls } = adminTls(next);
      if (tls === undefined) return () => undefined;
      return () => server.reloadTls(tls);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function statusOf({ feed }: DataPlane): SnapshotStatus | null {
  const { current, status } = feed;
  if (current === null) return null;
  return { version: current.version, builtAt: current.builtAt, sourceVersion: status.sourceVersion, staleSince: status.staleSince };
}

function adminTls(config: Config): Pick<AdminServerOptions, 'tls'> {
  const material = readTls(config);
  if (material === null) return {};
  const { cert, key, minVersion } = material;
  return { tls: { cert, key, minVersion } };
}
