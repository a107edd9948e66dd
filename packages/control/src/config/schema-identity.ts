import { TOKEN_ALGORITHMS } from '@sallyport/access';
import { ACTIONS } from '@sallyport/core';
import Type from 'typebox';
import type { CertificateDocument, IssuerDocument, RoleDocument } from './document.ts';
import { CLOSED, Duration, ModelGlobs, Name, RoleNames, Text, Url } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

const Claim = Type.String({
  pattern: '^[^\\s\\u0000-\\u001f.]{1,128}(\\.[^\\s\\u0000-\\u001f.]{1,128}){0,7}$',
  title: 'a claim name, dot separated for nested ones',
});
const IssuerItem = Type.Object(
  {
    name: Name,
    issuer: Type.String({ ...Url, description: 'Exact value of the iss claim.' }),
    audience: Type.Array(Text('an audience', 512), { minItems: 1, maxItems: 32, title: 'a list of at least one audience' }),
    algorithms: Type.Optional(
      Type.Array(Type.Enum([...TOKEN_ALGORITHMS], { title: `one of ${[...TOKEN_ALGORITHMS].join(', ')}` }), {
        minItems: 1,
        maxItems: TOKEN_ALGORITHMS.size,
        title: 'a list of signature algorithms',
        default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      }),
    ),
    jwksUri: Type.String({ ...Url, description: 'Where the signing keys are published.' }),
    claims: Type.Optional(
      Type.Object(
        {
          subject: Type.Optional(Type.String({ ...Claim, default: 'sub' })),
          tenant: Type.Optional(Claim),
          roles: Type.Optional(Claim),
          team: Type.Optional(Claim),
        },
        { ...CLOSED, title: 'a mapping of claim names' },
      ),
    ),
    tenant: Type.Optional(Type.String({ ...Name, default: 'default' })),
    roles: Type.Optional(RoleNames),
    roleMap: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Name, { title: "a mapping from the claim's values to role names" }),
    ),
    clockTolerance: Type.Optional(Type.String({ ...Duration, default: '30s' })),
  },
  { ...CLOSED, title: 'an issuer: a mapping with name, issuer, audience and jwksUri' },
);

const CertificateItem = Type.Object(
  {
    name: Name,
    spiffeId: Type.Optional(
      Type.String({ pattern: '^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*(/\\*)?$', title: 'a SPIFFE ID, exact or ending in /*' }),
    ),
    fingerprint: Type.Optional(
      Type.String({
        pattern: '^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$',
        title: 'the SHA-256 fingerprint of a certificate, 64 hexadecimal digits',
      }),
    ),
    principal: Text('an identifier of a principal', 256),
    tenant: Type.Optional(Type.String({ ...Name, default: 'default' })),
    roles: RoleNames,
    models: Type.Optional(ModelGlobs),
  },
  { ...CLOSED, title: 'a certificate identity: a mapping with name, principal, roles and spiffeId or fingerprint' },
);

const RoleItem = Type.Object(
  {
    name: Name,
    actions: Type.Array(Type.Enum([...ACTIONS], { title: 'a known action (see docs/configuration.md)' }), {
      minItems: 1,
      maxItems: ACTIONS.length,
      title: 'a list of at least one action',
    }),
    models: Type.Optional(ModelGlobs),
  },
  { ...CLOSED, title: 'a role: a mapping with name and actions' },
);

export const ISSUER: Shape<IssuerDocument> = shape(IssuerItem);
export const CERTIFICATE: Shape<CertificateDocument> = shape(CertificateItem);

export const ROLE: Shape<RoleDocument> = shape(RoleItem);
