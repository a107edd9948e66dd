import type { LimitEstimate } from '@sallyport/access';
import { Fault } from '@sallyport/core';
import { Charge } from '../charge.ts';
import type { Admitted, Permitted } from './facts.ts';

/** Output assumed where the client sets no bound. */
const UNBOUNDED_OUTPUT = 1024;
/** Bytes of a request that make a token, on the low side so that an estimate is rather too high. */
const BYTES_PER_TOKEN = 3.5;

/** Reserves requests, tokens and concurrency, all or nothing, before anything is forwarded. Throws the limit's fault. */
export function admit(permitted: Permitted): Admitted {
  const { limiter, limits, meter } = permitted.compiled;
  try {
    const estimated = estimate(permitted);
    const reservation = limiter.reserve(limits, {
      principal: permitted.principal,
      model: permitted.model,
      upstream: permitted.destinations[0]?.upstream.name ?? null,
      address: permitted.incoming.source.ip,
      estimate: estimated,
      onRefused: (headers) => permitted.incoming.reply.addHeaders(headers),
    });
    permitted.incoming.reply.addHeaders(reservation.headers);
    return { ...permitted, charge: new Charge(reservation, estimated) };
  } catch (error) {
    if (error instanceof Fault) meter.limitRefusal(error.detail ?? error.code);
    throw error;
  }
}

/** Tokens the request may use, before anybody has counted them. */
export function estimate({ request, endpoint }: Permitted): LimitEstimate {
  if (request === null || endpoint.action === 'model.manage' || endpoint.action === 'model.show')
    return { input: 0, output: 0, outputBounded: true };
  const input = Math.ceil(request.json.bytes.length / BYTES_PER_TOKEN);
  if (endpoint.action !== 'model.infer' || endpoint.id === 'anthropic.count-tokens') return { input, output: 0, outputBounded: true };
  const { maxOutputTokens, choices } = request.bounds;
  return { input, output: (maxOutputTokens ?? UNBOUNDED_OUTPUT) * choices, outputBounded: maxOutputTokens !== null };
}
