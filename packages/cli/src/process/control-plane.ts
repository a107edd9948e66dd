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
import type { Telemetry } from './telemetry.ts';
import { readTls } from './tls.ts';

/** The control plane of a process, running. */
export interface ControlPlane extends AsyncDisposable {
  readonly server: AdminServer;
  readonly address: { readonly host: string; readonly port: number };
  /** Reads the certificate a new configuration names, and returns what gives it to new connections. Throws where it cannot be used. */
  prepareReload(config: Config): () => void;
}

/** Starts the admin API. `snapshot` tells what the gateways of this process and its workers serve from, null where they are none; `risk` what gateways hold against callers. */
export async function startControlPlane(
  installation: Installation,
  service: ControlService,
  store: Store,
  {
    snapshot,
    risk,
    telemetry,
  }: { readonly snapshot: (() => SnapshotStatus | null) | null; readonly risk: RiskBoard | null; readonly telemetry: Telemetry },
): Promise<ControlPlane> {
  const { config, home, clock, random, logger } = installation;
  const server = createAdminServer({
    service,
    store,
    authenticate: keyAuthenticator(store.keys, home.pepper, clock),
    ...(snapshot === null ? {} : { snapshotStatus: snapshot }),
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

function adminTls(config: Config): Pick<AdminServerOptions, 'tls'> {
  const material = readTls(config);
  if (material === null) return {};
  const { cert, key, minVersion } = material;
  return { tls: { cert, key, minVersion } };
}
