import type { Usage } from '@sallyport/core';
import type { Admitted, Permitted } from './facts.ts';

/** What the limits hold for one exchange. Disposed without `settle` it keeps what was reserved: nobody gains by breaking off. */
export interface Charge extends Disposable {
  /** Rate-limit headers of the answer, flat. */
  readonly headers: readonly string[];
  /** Replaces the reservation by what was used. */
  settle(usage: Usage): void;
}

/** Tokens a request may use, before anybody has counted them. */
export interface Estimate {
  readonly input: number;
  readonly output: number;
}

/** Output assumed where the client sets no bound. */
const UNBOUNDED_OUTPUT = 1024;
/** Bytes of a request that make a token, on the low side so that an estimate is rather too high. */
const BYTES_PER_TOKEN = 3.5;

/** Reserves requests, tokens and concurrency, all or nothing, before anything is forwarded. Throws the limit's fault. */
export function admit(permitted: Permitted): Admitted {
  const charge = permitted.compiled.limiter.reserve({
    principal: permitted.principal,
    model: permitted.model,
    upstream: permitted.destinations[0]?.upstream.name ?? null,
    address: permitted.incoming.source.ip,
    estimate: estimate(permitted),
  });
  permitted.incoming.reply.addHeaders(charge.headers);
  return { ...permitted, charge };
}

function estimate({ request, endpoint }: Permitted): Estimate {
  if (request === null) return { input: 0, output: 0 };
  const input = Math.ceil(request.json.bytes.length / BYTES_PER_TOKEN);
  if (endpoint.action !== 'model.infer' || endpoint.id === 'anthropic.count-tokens') return { input, output: 0 };
  return { input, output: (request.bounds.maxOutputTokens ?? UNBOUNDED_OUTPUT) * request.bounds.choices };
}
