import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { AwsV4Signer } from 'aws4fetch';
import type { SoundEvent } from '../event.ts';
import { type Attempt, DELIVERED, type Delivery, DeliveryFailed, type Destination } from './destination.ts';
import { expectSuccess, type HttpPeer } from './http.ts';

export interface S3Options {
  /** Endpoint; the bucket is put into the path. */
  readonly url: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the objects' names: `json`, `ocsf`. */
  readonly suffix: string;
  readonly encode: (event: SoundEvent) => string;
}

const compress = promisify(gzip);

/**
 * Objects of entries, one a line, gzip, in S3-compatible storage: `<prefix><date>/<log>/<first>-<last>-<hash>.<format>l.gz`, where `hash`
 * begins that of the first entry. The name follows from what is in it, so that a batch that is sent twice is one object, and ledgers that
 * share a bucket and the names of logs do not overwrite one another. The bucket may be under Object Lock.
 */
export class S3 implements Destination {
  readonly #peer: HttpPeer;
  readonly #options: S3Options;

  constructor(peer: HttpPeer, options: S3Options) {
    this.#peer = peer;
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    for (const [log, of] of Map.groupBy(events, (event) => event.log)) {
      const first = of[0]?.entry;
      if (first === undefined) continue;
      const range = `${padded(first.seq)}-${padded(of.at(-1)?.seq ?? first.seq)}`;
      const name = `${range}-${first.hash.slice(0, 16)}.${this.#options.suffix}l.gz`;
      const body = await compress(of.map((event) => `${this.#options.encode(event)}\n`).join(''));
      await this.#put(`${this.#options.prefix}${first.time.slice(0, 10)}/${log}/${name}`, body, signal);
    }
    return DELIVERED;
  }

  async #put(key: string, body: Buffer, signal: AbortSignal): Promise<void> {
    const { url, bucket, region, accessKeyId, secretAccessKey, headers } = this.#options;
    const path = `/${bucket}/${key}`.split('/').map(encodeURIComponent).join('/');
    const digest = createHash('sha256').update(body);
    const sha256 = digest.copy().digest('hex');
    const signed = await new AwsV4Signer({
      method: 'PUT',
      url: `${url}${path}`,
      headers: {
        ...headers,
        'content-type': 'application/x-ndjson',
        'content-encoding': 'gzip',
        'x-amz-content-sha256': sha256,
        'x-amz-checksum-sha256': digest.digest('base64'),
      },
      accessKeyId,
      secretAccessKey,
      region,
      service: 's3',
    }).sign();
    const answer = await this.#peer.send({
      url: signed.url.toString(),
      method: 'PUT',
      headers: Object.fromEntries(signed.headers),
      body,
      signal,
    });
    // A signature that is refused, a bucket that is not there: settings, not the object.
    if (answer.status === 400) throw new DeliveryFailed('HTTP 400');
    expectSuccess(answer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}

function padded(seq: number): string {
  return String(seq).padStart(16, '0');
}
