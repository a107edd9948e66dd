import { ACTIONS, type CertificateIdentity, type Issuer, type Role } from '@sallyport/core';
import { isLoopback, type TlsSettings } from './config.ts';
import { DEFAULT_CLOCK_TOLERANCE, DEFAULT_JWT_ALGORITHMS, DEFAULT_TENANT } from './defaults.ts';
import type { CertificateDocument, IssuerDocument } from './document.ts';
import { describe, type Path, quote } from './problem.ts';
import { checkName } from './read-upstreams.ts';
import { checkUnique, type Item, namesIn, type Reading, readDuration, readItems } from './reading.ts';
import { CERTIFICATE, ISSUER, ROLE } from './schema.ts';
import { bareHost } from './units.ts';

const TOLERANCE: readonly [number, number] = [0, 300_000];

export function readRoles(value: unknown, builtIn: ReadonlySet<string>, reading: Reading): Role[] {
  const items = readItems(ROLE, value, ['roles'], 1_000, 'a list of roles', reading);
  checkUnique(items, reading.findings);
  for (const { value: role, path } of items) {
    if (builtIn.has(role.name)) reading.findings.problem([...path, 'name'], 'a name that no built-in role has', quote(role.name));
  }
  return items.map(({ value: role }) => ({
    name: role.name,
    builtIn: false,
    actions: ACTIONS.filter((action) => role.actions.includes(action)),
    models: role.models ?? null,
  }));
}

export interface IdentityContext {
  readonly roles: unknown;
  readonly builtInRoles: ReadonlySet<string>;
  readonly tls: TlsSettings | null;
}

export function readIdentity(
  value: unknown,
  context: IdentityContext,
  reading: Reading,
): { readonly issuers: Issuer[]; readonly certificates: CertificateIdentity[] } {
  if (value === undefined || value === null) return { issuers: [], certificates: [] };
  if (typeof value !== 'object' || Array.isArray(value)) {
    reading.findings.problem(['identity'], 'a mapping of issuers and certificates', describe(value));
    return { issuers: [], certificates: [] };
  }
  for (const key of Object.keys(value)) {
    if (key === 'issuers' || key === 'certificates') continue;
    reading.findings.problem(['identity', key], 'one of the keys issuers, certificates', `the unknown key ${quote(key)}`);
  }
  const roles = namesIn(context.roles).union(context.builtInRoles);
  const part = (key: string): unknown => (Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined);
  const issuers = readItems(ISSUER, part('issuers'), ['identity', 'issuers'], 100, 'a list of issuers', reading);
  checkUnique(issuers, reading.findings);
  checkIssuerUrls(issuers, reading);
  const certificates = readItems(
    CERTIFICATE,
    part('certificates'),
    ['identity', 'certificates'],
    10_000,
    'a list of certificate identities',
    reading,
  );
  checkUnique(certificates, reading.findings);
  if (certificates.length > 0 && (context.tls === null || context.tls.clientAuth === 'none')) {
    reading.findings.problem(
      ['tls', 'clientCa'],
      'the authorities of client certificates, because identity.certificates is used',
      'nothing',
    );
  }
  return {
    issuers: issuers.map((item) => readIssuer(item, roles, reading)),
    certificates: certificates.map((item) => readCertificate(item, roles, reading)),
  };
}

/** Two entries for one issuer and audience would let the order of the file decide who a token is. */
function checkIssuerUrls(items: readonly Item<IssuerDocument>[], reading: Reading): void {
  const seen = new Set<string>();
  for (const { value, path } of items) {
    for (const audience of value.audience) {
      const identity = JSON.stringify([value.issuer, audience]);
      if (seen.has(identity))
        reading.findings.problem([...path, 'audience'], 'an issuer and audience that no other entry has', `${quote(audience)} again`);
      seen.add(identity);
    }
  }
}

function readIssuer({ value, path }: Item<IssuerDocument>, roles: ReadonlySet<string>, reading: Reading): Issuer {
  checkSecureUrl(value.issuer, [...path, 'issuer'], reading);
  checkSecureUrl(value.jwksUri, [...path, 'jwksUri'], reading);
  checkRoles(value.roles ?? [], roles, [...path, 'roles'], reading);
  for (const [claim, role] of Object.entries(value.roleMap ?? {}))
    checkName(role, roles, 'the name of a role', [...path, 'roleMap', claim], reading);
  const claims = value.claims ?? {};
  if (value.roleMap !== undefined && claims.roles === undefined) {
    reading.findings.problem(
      [...path, 'claims', 'roles'],
      'the claim that roleMap reads',
      'nothing',
      'write claims: { roles: groups } or the like',
    );
  }
  if ((value.roles ?? []).length === 0 && value.roleMap === undefined) {
    reading.findings.warn(path, 'callers of this issuer get no role, so they may do nothing', 'give roles, or roleMap with claims.roles');
  }
  return {
    name: value.name,
    issuer: value.issuer,
    audience: value.audience,
    algorithms: value.algorithms ?? DEFAULT_JWT_ALGORITHMS,
    jwksUri: value.jwksUri,
    claims: { subject: claims.subject ?? 'sub', tenant: claims.tenant ?? null, roles: claims.roles ?? null, team: claims.team ?? null },
    tenant: value.tenant ?? DEFAULT_TENANT,
    roles: value.roles ?? [],
    roleMap: value.roleMap ?? {},
    clockTolerance: readDuration(value.clockTolerance, DEFAULT_CLOCK_TOLERANCE, TOLERANCE, [...path, 'clockTolerance'], reading) / 1_000,
  };
}

/** Signing keys fetched over plain HTTP could be replaced by whoever is in between; on this machine nobody is. */
function checkSecureUrl(text: string, path: Path, reading: Reading): void {
  const url = URL.parse(text);
  const fine = url !== null && url.username === '' && url.password === '' && (url.protocol === 'https:' || isLoopback(bareHost(url)));
  if (!fine)
    reading.findings.problem(
      path,
      'an https URL without credentials (http only to this machine)',
      url === null ? quote(text) : 'another URL',
    );
}

function readCertificate({ value, path }: Item<CertificateDocument>, roles: ReadonlySet<string>, reading: Reading): CertificateIdentity {
  checkRoles(value.roles, roles, [...path, 'roles'], reading);
  if (value.spiffeId === undefined && value.fingerprint === undefined) {
    reading.findings.problem([...path, 'spiffeId'], 'spiffeId, fingerprint or both', 'neither');
  }
  return {
    name: value.name,
    spiffeId: value.spiffeId ?? null,
    fingerprint: value.fingerprint?.replaceAll(':', '').toLowerCase() ?? null,
    principal: value.principal,
    tenant: value.tenant ?? DEFAULT_TENANT,
    roles: value.roles,
    models: value.models ?? null,
  };
}

function checkRoles(names: readonly string[], known: ReadonlySet<string>, path: Path, reading: Reading): void {
  for (const [index, name] of names.entries()) checkName(name, known, 'the name of a role', [...path, index], reading);
}
