import type { Snapshot } from '@sallyport/core';
import type { HealthReport } from './upstream/health.ts';

export interface GatewayHealth {
  readonly ready: boolean;
  /** Why it is not ready, or null. */
  readonly reason: 'no-snapshot' | 'draining' | 'ledger-failing' | null;
  readonly snapshot: { readonly version: number; readonly ageSeconds: number; readonly staleSeconds: number | null } | null;
  readonly upstreams: readonly HealthReport[];
  /** Public model names whose server and every fallback's are degraded. */
  readonly degradedModels: readonly string[];
}

interface HealthInput {
  readonly snapshot: Snapshot | null;
  readonly staleSince: number | null;
  readonly draining: boolean;
  readonly ledgerFailing: boolean;
  readonly upstreams: readonly HealthReport[];
  readonly now: number;
}

/** The truth about readiness: ready means that a request which policy permits would be forwarded and recorded. */
export function summarise({ snapshot, staleSince, draining, ledgerFailing, upstreams, now }: HealthInput): GatewayHealth {
  const reason = snapshot === null ? 'no-snapshot' : draining ? 'draining' : ledgerFailing ? 'ledger-failing' : null;
  const degraded = new Set(upstreams.filter((report) => report.state === 'degraded').map((report) => report.name));
  return {
    ready: reason === null,
    reason,
    snapshot:
      snapshot === null
        ? null
        : {
            version: snapshot.version,
            ageSeconds: seconds(now - snapshot.builtAt),
            staleSeconds: staleSince === null ? null : seconds(now - staleSince),
          },
    upstreams,
    degradedModels: snapshot === null ? [] : [...snapshot.routes.keys()].filter((name) => isDegraded(snapshot, name, degraded)),
  };
}

function isDegraded(snapshot: Snapshot, name: string, degraded: ReadonlySet<string>): boolean {
  const route = snapshot.routes.get(name);
  return (
    route !== undefined &&
    [route, ...route.fallback.map((other) => snapshot.routes.get(other))].every((one) => one === undefined || degraded.has(one.upstream))
  );
}

function seconds(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds / 1000));
}

/** Health as the gateway's port tells it to anybody: how many models are degraded. Models and upstreams are named on the control port only. */
export function renderHealth(kind: 'live' | 'ready', health: GatewayHealth): { status: number; body: string } {
  if (kind === 'live') return { status: 200, body: JSON.stringify({ status: 'live' }) };
  const status = health.ready ? (health.degradedModels.length > 0 ? 'degraded' : 'ready') : 'not-ready';
  return {
    status: health.ready ? 200 : 503,
    body: JSON.stringify({ status, reason: health.reason, snapshot: health.snapshot, degradedModels: health.degradedModels.length }),
  };
}
