import { issuerProblems, parseSpiffeId, roleProblems } from '@sallyport/access';
import { ACTIONS, type CertificateIdentity, type Issuer, type Role } from '@sallyport/core';
import type { TlsSettings } from './config.ts';
import { DEFAULT_CLOCK_TOLERANCE, DEFAULT_JWT_ALGORITHMS, DEFAULT_TENANT } from './defaults.ts';
import type { CertificateDocument, IssuerDocument } from './document.ts';
import { describe, type Path, quote } from './problem.ts';
import { checkName } from './read-upstreams.ts';
import { checkUnique, type Item, namesIn, type Reading, readDuration, readItems } from './reading.ts';
import { CERTIFICATE, ISSUER, ROLE } from './schema-identity.ts';

const TOLERANCE: readonly [number, number] = [0, 300_000];

export function readRoles(value: unknown, reading: Reading): Role[] {
  const items = readItems(ROLE, value, ['roles'], 1_000, 'a list of roles', reading);
  checkUnique(items, reading.findings);
  return items.map(({ value, path }) => {
    const role: Role = {
      name: value.name,
      builtIn: false,
      actions: ACTIONS.filter((action) => value.actions.includes(action)),
      models: value.models ?? null,
    };
    for (const problem of roleProblems(role)) reportField(problem, path, value, reading);
    return role;
  });
}

/** Problems of the access package begin with the field: `name: up to 64 …`. */
function reportField(problem: string, path: Path, value: object, reading: Reading): void {
  const colon = problem.indexOf(': ');
  const field = problem.slice(0, colon);
  reading.findings.problem(
    [...path, field],
    problem.slice(colon + 2),
    describe(Object.hasOwn(value, field) ? Reflect.get(value, field) : undefined),
  );
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
  checkCleanUrl(value.issuer, [...path, 'issuer'], reading);
  checkCleanUrl(value.jwksUri, [...path, 'jwksUri'], reading);
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
  const issuer: Issuer = {
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
  for (const problem of issuerProblems(issuer)) reportField(problem, path, value, reading);
  return issuer;
}

/** The message tells what a URL is for and nothing of it: it may hold credentials. */
function checkCleanUrl(text: string, path: Path, reading: Reading): void {
  const url = URL.parse(text);
  if (url === null) reading.findings.problem(path, 'an https URL', quote(text));
  else if (url.username !== '' || url.password !== '')
    reading.findings.problem(path, 'a URL without credentials', 'a URL with credentials');
}

function readCertificate({ value, path }: Item<CertificateDocument>, roles: ReadonlySet<string>, reading: Reading): CertificateIdentity {
  checkRoles(value.roles, roles, [...path, 'roles'], reading);
  if (value.spiffeId !== undefined && parseSpiffeId(value.spiffeId.replace(/\/\*$/, '')) === null) {
    reading.findings.problem([...path, 'spiffeId'], 'a SPIFFE ID, exact or ending in /*', quote(value.spiffeId));
  }
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
