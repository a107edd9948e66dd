export { type Compiled, type CompileOptions, compile } from './compiled.ts';
export { HttpJwksSource } from './egress/jwks.ts';
export { Gateway, type GatewayOptions, type Reload, type SnapshotSource } from './gateway.ts';
export type { GatewayHealth } from './health.ts';
export type { TlsMaterial } from './http/listener.ts';
export type { LedgerPort } from './ports.ts';
export { type RiskBoard, RiskWatch, type RiskWatchOptions } from './risk-watch.ts';
export type { HealthReport } from './upstream/health.ts';
export type { ResolveSecret } from './upstream/secrets.ts';
