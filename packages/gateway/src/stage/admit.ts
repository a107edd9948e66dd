import type { LimitEstimate, Reservation } from '@sallyport/access';
import { Fault } from '@sallyport/core';
import { Charge } from '../charge.ts';
import type { Incoming } from '../http/incoming.ts';
import type { Admitted, Identified, Permitted } from './facts.ts';
import { unlessGone } from './unless-gone.ts';

/** Reserves requests, tokens, spend and concurrency, all or nothing, before anything is forwarded. Throws the limit's fault. */
export async function admit(permitted: Permitted): Promise<Admitted> {
  const { limiter, limits, calibration, meter } = permitted.compiled;
  const [first] = permitted.destinations;
  const model = permitted.model;
  const inputBytes = textBytesOf(permitted);
  const estimated = estimate(permitted, inputBytes);
  try {
    const reserved = limiter.reserve(limits, {
      principal: permitted.principal,
      model,
      upstream: first?.upstream.name ?? null,
      address: permitted.incoming.source.ip,
      session: sessionOf(permitted.incoming),
      price: first?.route.price ?? null,
      estimate: estimated,
      onRefused: (headers) => permitted.incoming.reply.addHeaders(headers),
    });
    // Counters in this process answer at once: no turn of the event loop for them.
    const reservation = reserved instanceof Promise ? await unlessGone(permitted.incoming.reply, reserved, giveBack) : reserved;
    permitted.incoming.reply.addHeaders(reservation.headers);
    return { ...permitted, charge: new Charge(reservation, { estimate: estimated, model, inputBytes, calibration, meter }) };
  } catch (error) {
    if (error instanceof Fault && permitted.incoming.reply.ended === null) meter.limitRefusal(error.detail ?? error.code);
    throw error;
  }
}

/** Refuses who is known to be over a limit on requests before the body is read: reading and parsing it is work. Throws the limit's fault. */
export function turnAway({ incoming, compiled, principal, endpoint }: Identified): void {
  if (endpoint.parse === null) return;
  const { limiter, limits, meter } = compiled;
  try {
    limiter.turnAway(limits, { principal, address: incoming.source.ip, session: sessionOf(incoming) }, (headers) =>
      incoming.reply.addHeaders(headers),
    );
  } catch (error) {
    if (error instanceof Fault) meter.limitRefusal(error.detail ?? error.code);
    throw error;
  }
}

/** Of a client that left while its limits were asked. */
function giveBack(reservation: Reservation): void {
  reservation.settle({ input: 0, output: 0, cached: 0, exact: false });
  reservation[Symbol.dispose]();
}

/** Tokens an image makes, on the high side of what vision models take for one; its bytes say nothing about that. */
const IMAGE_TOKENS = 1_600;

/** Tokens the request may use, before anybody has counted them. */
export function estimate(permitted: Permitted, inputBytes: number | null = textBytesOf(permitted)): LimitEstimate {
  const { request, endpoint, model } = permitted;
  const { calibration } = permitted.compiled;
  if (request === null || endpoint.action === 'model.manage' || endpoint.action === 'model.show')
    return { input: 0, output: 0, outputBounded: true };
  const input = inputBytes === null ? withImages(permitted) : calibration.inputTokens(model, inputBytes);
  if (endpoint.action !== 'model.infer' || endpoint.id === 'anthropic.count-tokens') return { input, output: 0, outputBounded: true };
  const { maxOutputTokens, choices } = request.bounds;
  return { input, output: (maxOutputTokens ?? calibration.unboundedOutput(model)) * choices, outputBounded: maxOutputTokens !== null };
}

/** Bytes of a request that is text through and through, or null where it refers to or holds anything else. */
function textBytesOf({ request }: Permitted): number | null {
  return request === null || request.references.length > 0 ? null : request.json.bytes.length;
}

/** An image counts as such; a file, a sound or a video may be any amount of text, so its bytes count as if they were. */
function withImages({ request, model, compiled }: Permitted): number {
  const { calibration } = compiled;
  const { references, texts, json } = request ?? { references: [], texts: [], json: { bytes: { length: 0 } } };
  if (references.some(({ kind, source }) => source === 'inline' && kind !== 'image'))
    return calibration.inputTokens(model, json.bytes.length);
  const bytes = texts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  return calibration.inputTokens(model, bytes) + references.length * IMAGE_TOKENS;
}

/** Characters of a session's name that count; the header is the client's. */
const SESSION_NAME = 128;

/** The client's own name of its session. Whoever changes it gets a new one, so a limit per session never stands alone. */
function sessionOf({ headers }: Incoming): string | null {
  const name = headers['x-session-id'];
  return typeof name === 'string' && name !== '' ? name.slice(0, SESSION_NAME) : null;
}
