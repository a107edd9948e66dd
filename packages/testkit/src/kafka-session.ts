import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Value } from './kafka-wire.ts';

export interface KafkaUser {
  readonly mechanism: string;
  readonly name: string;
  readonly password: string;
  /** OAUTHBEARER: whether a token is good. */
  readonly accepts?: (token: string) => boolean;
  /** KIP-368: after so long the broker wants to be shown the credentials again. */
  readonly sessionLifetimeMs?: bigint;
}

/** One connection's authentication: SASL PLAIN (RFC 4616), SCRAM (RFC 5802) and OAUTHBEARER (RFC 7628). */
export class Session {
  readonly #user: KafkaUser | undefined;
  #step: 'none' | 'begun' | 'proof' | 'done';
  #first = '';
  #challenge = '';
  readonly #salt = randomBytes(12);

  constructor(user: KafkaUser | undefined) {
    this.#user = user;
    this.#step = user === undefined ? 'done' : 'none';
  }

  get pending(): boolean {
    return this.#step !== 'done';
  }

  handshake(mechanism: string): Value {
    const known = this.#user?.mechanism ?? '';
    if (mechanism !== known) return { errorCode: 33, mechanisms: [known] };
    this.#step = 'begun';
    return { errorCode: 0, mechanisms: [known] };
  }

  authenticate(bytes: Buffer): Value {
    const { mechanism, name, password, sessionLifetimeMs = 0n, accepts } = this.#user ?? assert.fail('not asked for');
    const answer = (text: string): Value => ({ errorCode: 0, errorMessage: null, authBytes: Buffer.from(text), sessionLifetimeMs });
    const no: Value = { errorCode: 58, errorMessage: 'text of the broker', authBytes: Buffer.alloc(0), sessionLifetimeMs: 0n };
    if (mechanism === 'PLAIN') {
      if (bytes.toString() !== `\0${name}\0${password}`) return no;
      this.#step = 'done';
      return answer('');
    }
    if (mechanism === 'OAUTHBEARER') {
      const [, token = ''] =
        /^n,,\x01auth=Bearer ([A-Za-z0-9._~+/=-]+)\x01\x01$/.exec(bytes.toString()) ?? assert.fail('as RFC 7628 has it');
      // Kafka's brokers tell why, and fail with what the client says to it.
      if (accepts?.(token) !== true) return answer('{"status":"invalid_token"}');
      this.#step = 'done';
      return answer('');
    }
    const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
    if (this.#step === 'begun') {
      const [, bare = '', user, nonce] = /^n,,(n=([^,]+),r=(.+))$/.exec(bytes.toString()) ?? [];
      if (user !== name) return no;
      this.#first = bare;
      this.#challenge = `r=${nonce}server,s=${this.#salt.toString('base64')},i=4096`;
      this.#step = 'proof';
      return answer(this.#challenge);
    }
    const [, bare = '', proof = ''] = /^(.+),p=(.+)$/.exec(bytes.toString()) ?? [];
    const salted = pbkdf2Sync(password, this.#salt, 4096, hash === 'sha256' ? 32 : 64, hash);
    const clientKey = createHmac(hash, salted).update('Client Key').digest();
    const authentication = `${this.#first},${this.#challenge},${bare}`;
    const signature = createHmac(hash, createHash(hash).update(clientKey).digest()).update(authentication).digest();
    if (
      Buffer.compare(
        clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)),
        Buffer.from(proof, 'base64'),
      ) !== 0
    )
      return no;
    this.#step = 'done';
    const serverKey = createHmac(hash, salted).update('Server Key').digest();
    return answer(`v=${createHmac(hash, serverKey).update(authentication).digest('base64')}`);
  }
}
