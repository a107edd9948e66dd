import type { KeyObject } from 'node:crypto';
import { createApiKey, digestApiKey, type KeyEnvironment } from '@sallyport/access';
import type { Random } from '@sallyport/core';

/** A key's text, its public id, and what is kept of it. */
export interface Secret {
  readonly id: string;
  readonly text: string;
  readonly hmac: string;
}

export interface SecretPorts {
  readonly random: Random;
  readonly pepper: KeyObject;
  readonly environment: KeyEnvironment;
}

export function newSecret(ports: SecretPorts): Secret {
  const { id, key } = createApiKey(ports.random, ports.environment);
  return { id, text: key, hmac: digestApiKey(ports.pepper, key) };
}

/** Another secret for a key that keeps its public id. */
export function renewedSecret(ports: SecretPorts, id: string): Secret {
  const renewed = newSecret({ ...ports, random: new FixedId(id, ports.random) });
  if (renewed.id !== id) throw new Error('A renewed key did not keep its id');
  return renewed;
}

/** `createApiKey` draws the id first, as a number in base 36, and the secret second: the first draw is answered with the wanted id. */
class FixedId implements Random {
  readonly #random: Random;
  #id: string | null;

  constructor(id: string, random: Random) {
    this.#id = id;
    this.#random = random;
  }

  bytes(length: number): Uint8Array {
    if (this.#id === null) return this.#random.bytes(length);
    let value = 0n;
    for (const digit of this.#id) value = value * 36n + BigInt(Number.parseInt(digit, 36));
    this.#id = null;
    return Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex');
  }
}
