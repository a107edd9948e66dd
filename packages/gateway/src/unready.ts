import { Fault, type Snapshot } from '@sallyport/core';
import { renderFault } from '@sallyport/wire';
import type { Reply } from './http/reply.ts';

/** Until the first snapshot only health is answered, so only the listener's own bounds matter. */
export const DEFAULTS: Pick<Snapshot, 'http'> = {
  http: {
    corsOrigins: [],
    trustedProxies: [],
    maxConnectionsPerAddress: 1_000,
    maxBodyBytes: 10_485_760,
    maxHeaderBytes: 16_384,
    headersTimeout: 10_000,
    bodyTimeout: 30_000,
    keepAliveTimeout: 65_000,
    drainTimeout: 30_000,
  },
};

/** The answer to anything but health before the first snapshot. */
export function refuseUnready(reply: Reply, id: string): void {
  const fault = new Fault('not_ready', 'The gateway has no configuration yet.', { retryAfter: 1 });
  reply.closeAfter();
  reply.send(fault.status, 'application/json', ['retry-after', '1'], Buffer.from(renderFault('openai', fault, id).body));
}
