import { userInfo } from 'node:os';
import { localActor } from '@sallyport/control';
import { type EntryFacts, type EntryKind, NO_EXCHANGE } from '@sallyport/core';
import { systemRandom } from '../installation.ts';

/** What the ledger says of something that whoever runs this command does, beside the control plane's service. */
export function localEntry(kind: EntryKind, action: string, resource: string | null): EntryFacts {
  const id = Buffer.from(systemRandom.bytes(12)).toString('base64url');
  const { principal } = localActor(id, userInfo().username);
  return {
    id,
    kind,
    principal: { id: principal.id, kind: principal.kind, tenant: principal.tenant, credential: `local:${principal.credential.id}` },
    source: null,
    action,
    resource,
    decision: null,
    ...NO_EXCHANGE,
    detail: {},
  };
}
