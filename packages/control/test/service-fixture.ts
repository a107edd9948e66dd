import { createSecretKey, randomBytes } from 'node:crypto';
import { type EntryFacts, Fault, type Principal, type Role, silentLogger } from '@sallyport/core';
import { openStore, type Store } from '@sallyport/store';
import { FakeClock } from '@sallyport/testkit';
import { DEFAULT_GUARDS } from '../src/config/defaults.ts';
import {
  type Actor,
  type ControlService,
  createControlService,
  type Installation,
  type IssuedKey,
  KEY_LIFETIME,
  type LimitCounts,
  localActor,
  type NewKey,
  type ServicePorts,
} from '../src/service/index.ts';

/** A set-up installation on a database of its own, with everything it recorded. */
export interface Bench extends AsyncDisposable {
  readonly store: Store;
  readonly service: ControlService;
  readonly ports: ServicePorts;
  readonly clock: FakeClock;
  readonly entries: EntryFacts[];
  readonly installation: Installation;
  /** Somebody at the machine's own command line. */
  readonly operator: Actor;
  readonly owner: Actor;
  /** The ledger refuses from here on, or no longer. */
  ledgerFails(fails: boolean): void;
  /** A key made by the operator, and the actor who holds it. */
  holder(key: Partial<NewKey> & Pick<NewKey, 'roles'>): Promise<{ issued: IssuedKey; actor: Actor }>;
}

export interface BenchOptions {
  readonly url?: string;
  readonly configuredRoles?: readonly Role[];
  readonly limits?: LimitCounts;
}

export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const store = await openStore(options.url ?? 'sqlite::memory:');
  const clock = new FakeClock();
  const entries: EntryFacts[] = [];
  let failing = false;
  const ports: ServicePorts = {
    store,
    pepper: createSecretKey(randomBytes(32)),
    random: { bytes: (length) => randomBytes(length) },
    clock,
    logger: silentLogger,
    record: async (facts) => {
      if (failing) throw new Error('the disk is full');
      entries.push(facts);
    },
    configuredRoles: () => options.configuredRoles ?? [],
    guards: () => DEFAULT_GUARDS,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    environment: 'test',
    keyLifetime: KEY_LIFETIME,
  };
  const service = createControlService(ports);
  const installation = await service.init({ owner: 'Ada' });
  const operator = localActor('operator-request', 'root');
  return {
    store,
    service,
    ports,
    clock,
    entries,
    installation,
    operator,
    owner: actorOf(installation.ownerKey),
    ledgerFails: (fails) => {
      failing = fails;
    },
    holder: async (key) => {
      const issued = await service.keys.create(operator, { name: 'a key', ...key });
      return { issued, actor: actorOf(issued) };
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
}

/** The actor that the listener makes of a key. */
export function actorOf(issued: IssuedKey): Actor {
  const { id, principal, kind, tenant, user, team, roles, expiresAt } = issued.key;
  const who: Principal = { id: principal, kind, tenant, user, team, roles, credential: { kind: 'api-key', id, expiresAt } };
  return { principal: who, source: { ip: '192.0.2.7', port: 4711, tls: null }, request: `request-of-${id}` };
}

/** For `assert.rejects`: a fault of this code, at this field. */
export function faultOf(code: string, param?: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof Fault) || error.code !== code || (param !== undefined && error.param !== param)) throw error;
    return true;
  };
}

export const DAY = 86_400_000;
