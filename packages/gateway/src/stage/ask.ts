import { DEFAULT_REQUEST_LIMITS } from '@sallyport/wire';
import type { Asked, Identified } from './facts.ts';

/** Reads the body and holds it to its endpoint's schema. Only callers who are known get this far: parsing is work. */
export async function ask(identified: Identified): Promise<Asked> {
  const { endpoint, incoming, snapshot } = identified;
  if (endpoint.parse === null) return { ...identified, request: null, model: identified.pathModel };
  const request = endpoint.parse(await incoming.body(snapshot.http), DEFAULT_REQUEST_LIMITS);
  return { ...identified, request, model: request.model };
}
