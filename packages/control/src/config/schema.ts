import Type from 'typebox';
import type { ConfigDocument, HttpDocument, LimitDocument, TlsDocument } from './document.ts';
import { AUDIT } from './schema-audit.ts';
import { GUARDS } from './schema-guards.ts';
import { CERTIFICATE, ISSUER, ROLE } from './schema-identity.ts';
import { TelemetrySection } from './schema-telemetry.ts';
import { Cidr, CLOSED, Count, Duration, List, Listen, ModelGlobs, Name, Reference, Url } from './schema-terms.ts';
import { MODEL, UPSTREAM } from './schema-upstreams.ts';
import { type JsonSchema, type Shape, shape } from './shape.ts';

const ListenSection = Type.Object(
  {
    gateway: Type.Optional(Type.String({ ...Listen, default: '127.0.0.1:7070', description: 'Where clients reach the model APIs.' })),
    control: Type.Optional(
      Type.String({ ...Listen, default: '127.0.0.1:7071', description: 'Where the console, the admin API and /metrics are.' }),
    ),
  },
  { ...CLOSED, title: 'a mapping of listeners', description: 'Addresses to listen on. The two planes never share a port.' },
);

const TlsSection = Type.Object(
  {
    cert: Type.Optional(Type.String({ ...Reference, description: 'Certificate chain, PEM.' })),
    key: Type.Optional(Type.String({ ...Reference, description: 'Private key of the certificate, PEM.' })),
    clientCa: Type.Optional(Type.String({ ...Reference, description: 'Certificate authorities of client certificates, PEM.' })),
    minVersion: Type.Optional(Type.Enum(['1.2', '1.3'], { title: "'1.2' or '1.3', in quotes", default: '1.2' })),
    clientAuth: Type.Optional(
      Type.Enum(['none', 'request', 'require'], {
        title: 'one of none, request, require',
        description: 'Client certificates on the gateway listener. Default: require with clientCa, else none.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of TLS settings', description: 'Certificates of both listeners. Without it they speak plain HTTP.' },
);

const HttpSection = Type.Object(
  {
    corsOrigins: Type.Optional(
      Type.Array(Type.String({ pattern: '^https?://[^\\s/*]{1,255}$', title: 'an origin such as https://chat.example.com' }), {
        maxItems: 1_000,
        title: 'a list of origins',
        default: [],
        description: 'Browser origins that may call the gateway. None unless named; there is no wildcard.',
      }),
    ),
    trustedProxies: Type.Optional(
      Type.Array(Cidr, {
        maxItems: 1_000,
        title: 'a list of CIDR blocks',
        default: [],
        description: 'Proxies whose x-forwarded-for is believed.',
      }),
    ),
    maxConnectionsPerAddress: Type.Optional(
      Type.Integer({
        ...Count(1, 10_000),
        default: 1_000,
        description: 'Connections one address may hold open; trusted proxies are exempt.',
      }),
    ),
    maxBodyBytes: Type.Optional(
      Type.Integer({ ...Count(1_024, 1_073_741_824), default: 16_777_216, description: 'Largest request body.' }),
    ),
    maxHeaderBytes: Type.Optional(Type.Integer({ ...Count(1_024, 1_048_576), default: 16_384, description: 'Largest request head.' })),
    timeouts: Type.Optional(
      Type.Object(
        {
          headers: Type.Optional(Type.String({ ...Duration, default: '10s', description: 'A client must have sent its headers by then.' })),
          body: Type.Optional(Type.String({ ...Duration, default: '30s', description: 'Longest pause of a client in mid-body.' })),
          keepAlive: Type.Optional(Type.String({ ...Duration, default: '65s', description: 'How long an idle connection is kept.' })),
          drain: Type.Optional(
            Type.String({ ...Duration, default: '30s', description: 'How long running requests may take when the process stops.' }),
          ),
        },
        { ...CLOSED, title: 'a mapping of timeouts' },
      ),
    ),
  },
  { ...CLOSED, title: 'a mapping of HTTP settings', description: 'What the listeners accept.' },
);

export const LIMIT_DIMENSIONS = ['key', 'user', 'team', 'tenant', 'role', 'model', 'upstream', 'address', 'session', 'global'] as const;

const Amount = Count(1, 1_000_000_000_000);

const LimitItem = Type.Object(
  {
    name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._:/*@+-]{0,511}$', title: 'a name without spaces' })),
    per: Type.Enum([...LIMIT_DIMENSIONS], { title: `one of ${LIMIT_DIMENSIONS.join(', ')}` }),
    requests: Type.Optional(Amount),
    'input-tokens': Type.Optional(Amount),
    'output-tokens': Type.Optional(Amount),
    tokens: Type.Optional(Amount),
    concurrency: Type.Optional(Type.Integer({ ...Amount, description: 'Requests in progress at once; needs no window.' })),
    spend: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1_000_000_000,
        title: 'an amount of money above 0, at most 10^9',
        description: 'What the tokens cost by models[].price, in its currency.',
      }),
    ),
    window: Type.Optional(
      Type.String({
        pattern: '^([0-9]{1,9}(ms|s|m|h|d)|hour|day|week|month)$',
        title: 'a duration such as 1m or 30d, or hour, day, week or month',
        description: 'Sliding from 1s to 31d, or a period of the calendar. Needed for all but concurrency.',
      }),
    ),
    timezone: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_+/-]{1,64}$',
        title: 'a time zone of the IANA database such as Europe/Berlin',
        default: 'UTC',
        description: 'Where periods of the calendar begin.',
      }),
    ),
    overrun: Type.Optional(
      Type.Enum(['cut', 'finish'], {
        title: 'one of cut, finish',
        default: 'cut',
        description:
          'What happens to a stream that has used all there is: cut ends it with an error, finish counts what it goes on to use.',
      }),
    ),
    models: Type.Optional(ModelGlobs),
  },
  { ...CLOSED, title: 'a limit such as { per: key, tokens: 100000, window: 1m }' },
);

const StorageUrl = Type.String({
  pattern:
    '^(sqlite:[^\\u0000-\\u001f]{1,1024}|postgres(ql)?://[^\\s]{1,1024}|env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\\u0000-\\u001f]{1,1024})$',
  title: 'sqlite:PATH, postgres://…, or a reference env:NAME or file:/path to one',
});

const StorageSection = Type.Object(
  {
    url: Type.Optional(Type.String({ ...StorageUrl, default: 'sqlite:.sallyport/state.db' })),
    password: Type.Optional(Type.String({ ...Reference, description: 'Password of the database user; never part of the URL.' })),
  },
  { ...CLOSED, title: 'a mapping of storage settings', description: 'Where keys, users and settings are kept.' },
);

const CountersSection = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        pattern: '^(memory:|rediss?://[^\\s]{1,1024})$',
        title: 'memory:, or redis://HOST:PORT of a Redis or Valkey (rediss:// with TLS)',
        default: 'memory:',
        description: 'In this process (shared by its workers), or in a server that all replicas share.',
      }),
    ),
    password: Type.Optional(Type.String({ ...Reference, description: 'Password of the server; never part of the URL.' })),
    ca: Type.Optional(Type.String({ ...Reference, description: 'Authorities to trust for rediss:// instead of the system ones, PEM.' })),
    onUnavailable: Type.Optional(
      Type.Enum(['refuse', 'local'], {
        title: 'one of refuse, local',
        default: 'refuse',
        description: 'While the server is away requests under a limit are refused, or held to a share of it in each process.',
      }),
    ),
    shares: Type.Optional(
      Type.Integer({
        ...Count(1, 100_000),
        description: 'Processes that share the limits, workers included. Needed for onUnavailable: local.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of counter settings', description: 'Where limits are counted.' },
);

const Points = Type.Number({ minimum: 0, maximum: 1_000, title: 'a number from 0 to 1000' });

const RiskSection = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ title: 'true or false', default: true })),
    points: Type.Optional(
      Type.Object(
        {
          blocked: Type.Optional({ ...Points, default: 20, description: 'A text the guard blocked.' }),
          flagged: Type.Optional({ ...Points, default: 2, description: 'A text the guard flagged.' }),
          authentication: Type.Optional({ ...Points, default: 1, description: 'A credential that was refused, for the address.' }),
          denied: Type.Optional({ ...Points, default: 5, description: 'A call policy denied.' }),
          enumeration: Type.Optional({ ...Points, default: 10, description: 'A model that does not exist.' }),
          limited: Type.Optional({ ...Points, default: 0.2, description: 'A limit that was used up.' }),
        },
        { ...CLOSED, title: 'a mapping of points' },
      ),
    ),
    halfLife: Type.Optional(Type.String({ ...Duration, default: '10m', description: 'In which a score halves.' })),
    throttle: Type.Optional(
      Type.Object(
        { at: Type.Optional({ ...Points, default: 60 }), perMinute: Type.Optional({ ...Count(1, 6_000), default: 10 }) },
        { ...CLOSED, title: 'a mapping with at and perMinute' },
      ),
    ),
    challenge: Type.Optional(Type.Object({ at: Type.Optional({ ...Points, default: 120 }) }, { ...CLOSED, title: 'a mapping with at' })),
    block: Type.Optional(
      Type.Object(
        { at: Type.Optional({ ...Points, default: 200 }), for: Type.Optional(Type.String({ ...Duration, default: '15m' })) },
        { ...CLOSED, title: 'a mapping with at and for' },
      ),
    ),
    exempt: Type.Optional(List(Cidr, 'a list of CIDR blocks', 1_000)),
  },
  { ...CLOSED, title: 'a mapping of risk settings', description: 'When a caller that behaves badly is slowed, challenged or kept out.' },
);

const Weight = Type.Number({ minimum: 0.01, maximum: 1_000, title: 'a number from 0.01 to 1000' });

const FairnessSection = Type.Object(
  {
    tenants: Type.Optional(
      List(Type.Object({ name: Name, weight: Weight }, { ...CLOSED, title: 'a mapping with name and weight' }), 'a list of tenants'),
    ),
    priorities: Type.Optional(
      List(
        Type.Object(
          { name: Name, weight: Weight, roles: Type.Array(Name, { minItems: 1, maxItems: 64, title: 'a list of role names' }) },
          { ...CLOSED, title: 'a mapping with name, weight and roles' },
        ),
        'a list of priorities',
        64,
      ),
    ),
  },
  { ...CLOSED, title: 'a mapping of shares', description: 'Who gets how much of a server that many wait for.' },
);

const Host = '(\\[[0-9A-Fa-f:]{2,39}\\]|(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)';

const EgressSection = Type.Object(
  {
    hosts: Type.Optional(
      List(
        Type.String({ pattern: `^${Host}(:[0-9]{1,5})?$`, title: 'a host such as idp.example.com, *.example.com or host:8443' }),
        'a list of hosts',
      ),
    ),
    networks: Type.Optional(List(Cidr, 'a list of CIDR blocks', 1_000)),
    proxy: Type.Optional(
      Type.Object(
        {
          url: Type.String({ ...Url, description: 'An HTTP proxy that makes tunnels (CONNECT).' }),
          credential: Type.Optional(Type.String({ ...Reference, description: 'user:password of the proxy.' })),
          except: Type.Optional(
            List(
              Type.String({ pattern: `^(${Host}|[0-9A-Fa-f:.]{2,45}/[0-9]{1,3})$`, title: 'a host, *.domain or a CIDR block' }),
              'a list of hosts that are reached directly',
            ),
          ),
        },
        { ...CLOSED, title: 'a mapping with url' },
      ),
    ),
  },
  { ...CLOSED, title: 'a mapping of egress settings', description: 'Whom Sallyport itself may connect to.' },
);

const IdentitySection = Type.Object(
  {
    issuers: Type.Optional(List(ISSUER.schema, 'a list of issuers', 100)),
    certificates: Type.Optional(List(CERTIFICATE.schema, 'a list of certificate identities')),
  },
  { ...CLOSED, title: 'a mapping of issuers and certificates', description: 'Credentials accepted beside API keys.' },
);

const Document = Type.Object(
  {
    listen: Type.Optional(ListenSection),
    tls: Type.Optional(TlsSection),
    http: Type.Optional(HttpSection),
    upstreams: Type.Optional(List(UPSTREAM.schema, 'a list of upstreams', 1_000)),
    models: Type.Optional(List(MODEL.schema, 'a list of models')),
    identity: Type.Optional(IdentitySection),
    roles: Type.Optional(List(ROLE.schema, 'a list of roles', 1_000)),
    limits: Type.Optional(List(LimitItem, 'a list of limits', 1_000)),
    guards: Type.Optional(GUARDS.schema),
    storage: Type.Optional(StorageSection),
    counters: Type.Optional(CountersSection),
    audit: Type.Optional(AUDIT.schema),
    telemetry: Type.Optional(TelemetrySection),
    egress: Type.Optional(EgressSection),
    fairness: Type.Optional(FairnessSection),
    risk: Type.Optional(RiskSection),
  },
  { ...CLOSED, title: 'a mapping of sections', description: 'Configuration of Sallyport: sallyport.yaml.' },
);

/**
 * The published schema (`sallyport.schema.json`). What it refuses `parseConfig` refuses, but for sections left empty; the reverse is
 * not so: that names exist, that URLs and addresses can be used and the like is checked beyond it.
 */
export const CONFIG_JSON_SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  ...Document,
  title: 'Sallyport configuration',
};

export const SECTION_NAMES: readonly (keyof ConfigDocument)[] = [
  'listen',
  'tls',
  'http',
  'upstreams',
  'models',
  'identity',
  'roles',
  'limits',
  'guards',
  'storage',
  'counters',
  'audit',
  'telemetry',
  'egress',
  'fairness',
  'risk',
];

// Lists are read item by item, so that one bad item does not hide the problems of the others.
type Section<K extends keyof ConfigDocument> = NonNullable<ConfigDocument[K]>;
export const LISTEN: Shape<Section<'listen'>> = shape(ListenSection);
export const TLS: Shape<TlsDocument> = shape(TlsSection);
export const HTTP: Shape<HttpDocument> = shape(HttpSection);
export const LIMIT: Shape<LimitDocument> = shape(LimitItem);
export const STORAGE: Shape<Section<'storage'>> = shape(StorageSection);
export const COUNTERS: Shape<Section<'counters'>> = shape(CountersSection);
export const EGRESS: Shape<Section<'egress'>> = shape(EgressSection);
export const FAIRNESS: Shape<Section<'fairness'>> = shape(FairnessSection);
export const RISK: Shape<Section<'risk'>> = shape(RiskSection);
