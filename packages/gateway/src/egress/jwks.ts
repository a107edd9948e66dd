import type { JwksLimits, JwksSource } from '@sallyport/access';
import { Agent, request } from 'undici';

/** Fetches issuers' key sets: no redirects (undici's `request` follows none), bounded in time and size. Only configured URIs come here. */
export class HttpJwksSource implements JwksSource, AsyncDisposable {
  readonly #agent: Agent = new Agent({ connections: 2, pipelining: 1, connect: { rejectUnauthorized: true, minVersion: 'TLSv1.2' } });

  async fetch(uri: string, limits: JwksLimits): Promise<unknown> {
    const signal = AbortSignal.timeout(limits.timeout);
    const answer = await request(uri, { dispatcher: this.#agent, signal, headers: { accept: 'application/json' } });
    try {
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
      const chunks: Buffer[] = [];
      let size = 0;
      // The issuer's bytes: bounded before they are parsed.
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > limits.maxBytes) throw new Error(`more than ${limits.maxBytes} bytes`);
        chunks.push(chunk);
      }
      const parsed: unknown = JSON.parse(Buffer.concat(chunks, size).toString('utf8'));
      return parsed;
    } finally {
      answer.body.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}
