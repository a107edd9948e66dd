import { type Clock, isLoopback } from '@sallyport/core';
import * as oauth from 'oauth4webapi';
import { DeliveryFailed } from './destination.ts';
import type { HttpPeer } from './http.ts';

export interface OAuthClient {
  /** Token endpoint. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope: string | null;
}

/** A token is used while it has at least this long to go, milliseconds. */
const LEAST = 30_000;
/** For how long one is kept whose end its issuer does not tell. */
const UNTOLD = 60_000;
/** Answers that are no token. */
const UNFIT = [
  oauth.ResponseBodyError,
  oauth.OperationProcessingError,
  oauth.UnsupportedOperationError,
  oauth.WWWAuthenticateChallengeError,
];
/** RFC 6750 section 2.1. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;

/** Bearer tokens of an OAuth client for itself (RFC 6749 section 4.4, client credentials), kept for as long as they hold. */
export class OAuthTokens implements AsyncDisposable {
  readonly #peer: HttpPeer;
  readonly #client: OAuthClient;
  readonly #clock: Clock;
  #token: { readonly text: string; readonly until: number } | null = null;

  constructor(peer: HttpPeer, client: OAuthClient, clock: Clock) {
    this.#peer = peer;
    this.#client = client;
    this.#clock = clock;
  }

  /** @throws {DeliveryFailed} the endpoint gives none */
  async get(signal: AbortSignal): Promise<string> {
    if (this.#token === null || this.#clock.monotonic() > this.#token.until) this.#token = await this.#request(signal);
    return this.#token.text;
  }

  /** Who was shown it did not accept it. */
  drop(): void {
    this.#token = null;
  }

  async #request(signal: AbortSignal): Promise<{ text: string; until: number }> {
    const { url, clientId, clientSecret, scope } = this.#client;
    const { protocol, hostname, origin } = new URL(url);
    // The configuration has said so already; the secret is in the balance.
    const local = isLoopback(hostname.replace(/^\[|\]$/g, ''));
    if (protocol !== 'https:' && !local) throw new DeliveryFailed('OAuth: the token endpoint must be https, or on this machine');
    const server: oauth.AuthorizationServer = { issuer: origin, token_endpoint: url };
    const client: oauth.Client = { client_id: clientId };
    const asked = this.#clock.monotonic();
    try {
      const answer = await oauth.clientCredentialsGrantRequest(
        server,
        client,
        oauth.ClientSecretBasic(clientSecret),
        new URLSearchParams(scope === null ? {} : { scope }),
        {
          [oauth.allowInsecureRequests]: local,
          [oauth.customFetch]: async (target, { headers, body }) => {
            const { status, body: bytes } = await this.#peer.send({ url: target, method: 'POST', headers, body: body.toString(), signal });
            return new Response(Uint8Array.from(bytes), { status, headers: { 'content-type': 'application/json' } });
          },
        },
      );
      const { access_token: text, expires_in: seconds } = await oauth.processClientCredentialsResponse(server, client, answer);
      // It goes into a message whose parts are told apart by control characters.
      if (!BEARER.test(text)) throw new DeliveryFailed('OAuth: the token is not one of RFC 6750');
      return { text, until: asked + (seconds === undefined ? UNTOLD : Math.max(0, seconds * 1000 - LEAST)) };
    } catch (error) {
      // What the endpoint says of its own may be anything, a token included, so the error goes no further; the codes of RFC 6749 section 5.2 are words.
      if (error instanceof oauth.ResponseBodyError && /^[a-z_]{1,40}$/.test(error.error)) throw new DeliveryFailed(`OAuth ${error.error}`);
      if (UNFIT.some((kind) => error instanceof kind)) throw new DeliveryFailed('OAuth: the token endpoint gives no token');
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}
