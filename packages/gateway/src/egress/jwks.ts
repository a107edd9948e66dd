import type { JwksLimits, JwksSource } from '@sallyport/access';
import type { Egress } from '@sallyport/egress';

/** Fetches issuers' key sets: no redirects, bounded in time and size. Only configured URIs come here. */
export class HttpJwksSource implements JwksSource {
  readonly #egress: Egress;

  constructor(egress: Egress) {
    this.#egress = egress;
  }

  async fetch(uri: string, { timeout, maxBytes }: JwksLimits): Promise<unknown> {
    const answer = await this.#egress.request(uri, { headers: { accept: 'application/json' }, timeout, maxBytes });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    const parsed: unknown = JSON.parse(answer.body.toString('utf8'));
    return parsed;
  }
}
