import type { BodiesPort } from '@sallyport/gateway';
import { subjectOf } from '@sallyport/ledger';
import { type Installation, openBodies } from '../installation.ts';

/** Where the gateway stores texts, or null where policy has none stored. What cannot be stored is judged as what cannot be recorded. */
export async function startBodies(installation: Installation): Promise<BodiesPort | null> {
  const { config, logger } = installation;
  if (config.audit.bodies === 'none') return null;
  const bodies = await openBodies(installation);
  return {
    seal: async ({ tenant, id: principal }, id, body) => {
      try {
        await bodies.seal(subjectOf(tenant, principal), id, body);
        return true;
      } catch (error) {
        const reason = error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : 'unknown';
        logger.error('ledger.body-not-stored', { body: id, reason });
        if (config.audit.onUnavailable === 'unsafe-continue-unrecorded') return false;
        throw error;
      }
    },
  };
}
