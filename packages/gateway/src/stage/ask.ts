import { refusal } from '@sallyport/access';
import { DEFAULT_REQUEST_LIMITS } from '@sallyport/wire';
import type { Asked, Identified } from './facts.ts';

/** Reads the body and holds it to its endpoint's schema. Only callers who are known get this far: parsing is work. */
export async function ask(identified: Identified): Promise<Asked> {
  const { endpoint, incoming, snapshot } = identified;
  if (endpoint.parse === null) return { ...identified, request: null, model: identified.pathModel };
  try {
    const request = endpoint.parse(await incoming.body(snapshot.http), DEFAULT_REQUEST_LIMITS);
    return { ...identified, request, model: request.model };
  } catch (error) {
    if (incoming.reply.ended === null) checkPermission(identified);
    throw error;
  }
}

/**
 * Who may not do this to any model is told that, and not how a body has to look. Only once the body was found wrong: of a sound one the
 * ledger is to name the model, whatever is decided.
 */
function checkPermission({ compiled, principal, endpoint, incoming }: Identified): void {
  const denial = compiled.policy.refuses(principal, endpoint.action, { now: compiled.clock.now(), ip: incoming.source.ip });
  if (denial === null) return;
  compiled.meter.authorisationDenial(endpoint.action);
  throw refusal(denial, endpoint.action);
}
