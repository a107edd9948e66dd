import { Fault, type Finding } from '@sallyport/core';
import { GuardConfigError, heldToRequest } from '@sallyport/guard';
import { requestedFormat } from '@sallyport/wire';
import type { GuardPolicy } from '../guard-book.ts';
import type { Admitted } from './facts.ts';
import type { FindingSink } from './inspect.ts';

/** The request asks for what its reply cannot be held to. */
const UNCHECKABLE: Finding = { detector: 'contract', category: 'uncheckable', severity: 'medium', start: 0, end: 0 };

/**
 * The policy with what the request asks of its reply, where the policy holds replies to that. It only ever asks for more.
 * @throws Fault `invalid_request` for a schema that cannot be judged: a reply that cannot be held to it would be passed off as one that is. Where breaches
 *   are only reported, so is that.
 */
export function withRequested({ guarding, request, endpoint }: Admitted, sink: Pick<FindingSink, 'found'>): GuardPolicy {
  const { settings, guard } = guarding;
  if (settings.contract?.requested !== true || request === null) return guarding;
  const format = requestedFormat(endpoint.id, request.json.value);
  if (format === null) return guarding;
  // JSON is known to fit when all of it is there.
  const mode = settings.mode === 'transform' ? 'hold' : settings.mode;
  try {
    const held = heldToRequest(guard, format.schema, settings.contract, mode);
    return { ...guarding, settings: { ...settings, mode }, guard: held, isRequested: true };
  } catch (error) {
    if (!(error instanceof GuardConfigError)) throw error;
    if (mode === 'observe' || settings.contract.onBreach === 'flag') {
      sink.found([UNCHECKABLE], 'flag');
      return guarding;
    }
    const [issue] = error.issues;
    const where = issue === undefined ? '' : ` At ${issue.path.slice(0, 200)}: expected ${issue.expected}.`;
    throw new Fault('invalid_request', `Replies are held to the JSON that is asked for, and this schema cannot be checked.${where}`, {
      param: format.field,
      detail: 'requested schema',
    });
  }
}
