import { createHmac, type KeyObject } from 'node:crypto';
import { Fault } from '@sallyport/core';
import type { SettingReader } from '@sallyport/store';
import type { Alteration, Desk } from './desk.ts';
import { checkLabel } from './fields.ts';
import { composeKey, viewKey } from './keys.ts';
import { type Actor, DEFAULT_TENANT } from './ports.ts';
import { newSecret } from './secret.ts';
import { composeUser } from './users.ts';
import type { Installation, NewInstallation } from './views.ts';

export const INSTALLATION_SETTING = 'installation-id';

/** What the pepper of the home that was set up makes of a fixed text: another pepper knows none of the keys. */
const PEPPER_SETTING = 'pepper-check';

const ID_BYTES = 16;

/** The home's pepper is not the one that the database's keys were made with. */
export class WrongPepper extends Error {
  override readonly name: string = 'WrongPepper';

  constructor() {
    super(
      'This home has another pepper than the installation in the database: no API key would be known here. ' +
        'Copy the file `pepper` of the home that was set up (mode 0600), or name that home with SALLYPORT_HOME',
    );
  }
}

/**
 * Passes where `pepper` is the installation's, or nothing is set up yet. `created`: the pepper is new, so it cannot be the one of an
 * installation that exists (also of one that was made before there was a check value).
 * @throws {WrongPepper} · `Fault('not_ready')` while the database is away
 */
export async function checkPepper(settings: SettingReader, pepper: KeyObject, created: boolean): Promise<void> {
  if ((await settings.get(INSTALLATION_SETTING)) === null) return;
  const expected = await settings.get(PEPPER_SETTING);
  if (expected === null ? created : expected !== pepperCheck(pepper)) throw new WrongPepper();
}

function pepperCheck(pepper: KeyObject): string {
  return createHmac('sha256', pepper).update('sallyport/pepper-check/v1').digest('base64url');
}

/**
 * The first start, all of it in one transaction: two that race make one installation, and the other gets `conflict`. No policy decides,
 * because there is nobody yet; it works only while there is neither an installation nor a user.
 */
export function initialise(desk: Desk, given: NewInstallation): Promise<Installation> {
  const { random, clock } = desk.ports;
  return desk.transaction(async (tables, journal) => {
    if ((await tables.settings.get(INSTALLATION_SETTING)) !== null || (await tables.users.any())) {
      throw new Fault('conflict', 'This installation is set up already. Its owner can make further users and keys.');
    }
    const id = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
    const tenant = given.tenant === undefined ? DEFAULT_TENANT : checkLabel('tenant', given.tenant);
    const person = { name: given.owner, roles: ['owner'], ...(given.email === undefined ? {} : { email: given.email }) };
    const owner = composeUser(desk.ports, { user: person, tenant, creator: SYSTEM });
    const ownerSecret = newSecret(desk.ports);
    const firstSecret = newSecret(desk.ports);
    const ownerKey = composeKey(desk.ports, {
      key: { name: 'owner', roles: ['owner'] },
      secret: ownerSecret,
      tenant,
      user: owner,
      creator: owner.id,
    });
    const firstKey = composeKey(desk.ports, {
      key: { name: 'first key', roles: ['user'] },
      secret: firstSecret,
      tenant,
      user: owner,
      creator: owner.id,
    });
    await tables.settings.set(INSTALLATION_SETTING, id);
    await tables.settings.set(PEPPER_SETTING, pepperCheck(desk.ports.pepper));
    await tables.users.insert(owner);
    await tables.keys.insert(ownerKey);
    await tables.keys.insert(firstKey);
    const alterations: Alteration[] = [
      { resource: { kind: 'config', name: 'installation' }, before: null, after: { id } },
      { resource: { kind: 'user', name: owner.id }, before: null, after: owner, action: 'user.create' },
      { resource: { kind: 'key', name: ownerKey.id }, before: null, after: ownerKey, action: 'key.create' },
      { resource: { kind: 'key', name: firstKey.id }, before: null, after: firstKey, action: 'key.create' },
    ];
    await journal.enter(systemActor(id, tenant), 'installation.create', { effect: 'permit', rule: 'installation:first' }, alterations);
    const now = clock.now();
    return {
      id,
      owner,
      ownerKey: { key: viewKey(ownerKey, now), secret: ownerSecret.text },
      firstKey: { key: viewKey(firstKey, now), secret: firstSecret.text },
    };
  });
}

const SYSTEM = 'system';

function systemActor(request: string, tenant: string): Actor {
  return {
    principal: {
      id: SYSTEM,
      kind: 'workload',
      tenant,
      user: null,
      team: null,
      roles: [],
      credential: { kind: 'local', id: SYSTEM, expiresAt: null },
    },
    source: null,
    request,
  };
}
