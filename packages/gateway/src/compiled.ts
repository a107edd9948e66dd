import { hkdfSync, type KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  AddressList,
  Authenticator,
  allowanceKey,
  type Calibration,
  compilePolicy,
  type JwksCache,
  type Limiter,
  type LimitRules,
  openPrompt,
  type Policy,
} from '@sallyport/access';
import type { Clock, Meter, Snapshot } from '@sallyport/core';
import { Allowances } from './allowances.ts';
import type { Classifier } from './classifier/classifier.ts';
import { GuardBook } from './guard-book.ts';
import type { RiskWatch } from './risk-watch.ts';

/** A snapshot made ready for use. An exchange keeps the one it began with. */
export interface Compiled {
  readonly snapshot: Snapshot;
  readonly authenticator: Authenticator;
  readonly policy: Policy;
  readonly guards: GuardBook;
  readonly allowances: Allowances;
  readonly classifier: Classifier | null;
  /** The system prompts that routes name, opened. */
  readonly prompts: ReadonlyMap<string, OpenPrompt>;
  readonly limiter: Limiter;
  readonly limits: LimitRules;
  readonly calibration: Calibration;
  readonly risk: RiskWatch;
  readonly trustedProxies: AddressList;
  readonly meter: Meter;
  readonly clock: Clock;
}

export interface OpenPrompt {
  readonly name: string;
  readonly version: number;
  readonly text: string;
}

export interface CompileOptions {
  /** Shared by snapshots that name the same: what it knows and whether it is well outlives them. */
  readonly classifier: Classifier | null;
  readonly pepper: KeyObject;
  readonly jwks: JwksCache;
  /** Shared by all snapshots of a process: a change of configuration forgets nothing that was used. */
  readonly limiter: Limiter;
  readonly calibration: Calibration;
  readonly risk: RiskWatch;
  readonly meter: Meter;
  readonly clock: Clock;
  /** Guards take a fifth of a second to compile: those in force go on where a new snapshot says the same of them. */
  readonly inForce?: Compiled | null;
}

/** Throws where the snapshot cannot be used as a whole (a pattern that does not compile): the gateway then keeps the one it has. */
export function compile(snapshot: Snapshot, options: CompileOptions): Compiled {
  return {
    snapshot,
    authenticator: new Authenticator(snapshot, options),
    policy: compilePolicy(snapshot),
    guards: guardsOf(snapshot, options),
    allowances: new Allowances(snapshot.allowances, allowanceKey(options.pepper)),
    classifier: options.classifier,
    prompts: openPrompts(snapshot, options.pepper),
    limiter: options.limiter,
    calibration: options.calibration,
    risk: options.risk,
    limits: { rules: snapshot.limits, keyRules: (id) => snapshot.keys.get(id)?.limits ?? [] },
    trustedProxies: new AddressList(snapshot.http.trustedProxies),
    meter: options.meter,
    clock: options.clock,
  };
}

function guardsOf({ guard }: Snapshot, { pepper, inForce }: CompileOptions): GuardBook {
  if (inForce && isDeepStrictEqual(inForce.snapshot.guard, guard)) return inForce.guards;
  return new GuardBook(guard, hashKey(pepper));
}

/** The key of the hashes that stand for personal values (RFC 5869): the same for every gateway of an installation, and none other of its keys. */
function hashKey(pepper: KeyObject): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', pepper, '', 'sallyport/guard/hash', 32));
}

/** One that does not open is left out: requests that need it are refused, all others go on. */
function openPrompts(snapshot: Snapshot, pepper: KeyObject): ReadonlyMap<string, OpenPrompt> {
  const prompts = new Map<string, OpenPrompt>();
  for (const { prompt: name } of snapshot.routes.values()) {
    const sealed = name === undefined ? undefined : snapshot.prompts.get(name);
    const text = sealed === undefined ? null : openPrompt(pepper, sealed);
    if (sealed !== undefined && text !== null) prompts.set(sealed.name, { name: sealed.name, version: sealed.version, text });
  }
  return prompts;
}
