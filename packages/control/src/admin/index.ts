export { type Authenticate, keyAuthenticator } from './authenticate.ts';
export type { Problem } from './problem.ts';
export type { Method, Route, SnapshotStatus } from './route.ts';
export { adminRoutes } from './routes.ts';
export type { RiskBoard, RiskView } from './routes-risk.ts';
export { type AdminServer, type AdminServerOptions, createAdminServer } from './server.ts';
