import { TOKEN_ALGORITHMS } from '@sallyport/access';
import { ACTIONS, EXPORT_FORMATS, EXPORTER_KINDS } from '@sallyport/core';
import Type from 'typebox';
import type {
  CertificateDocument,
  ConfigDocument,
  GuardsDocument,
  HttpDocument,
  IssuerDocument,
  LimitDocument,
  ModelDocument,
  RoleDocument,
  TlsDocument,
  UpstreamDocument,
} from './document.ts';
import { TelemetrySection } from './schema-telemetry.ts';
import { type JsonSchema, type Shape, shape } from './shape.ts';

/**
 * `title` of each node says what is expected there, in the words problems use; `description` explains the key in an editor.
 * The shape is checked with these; what the shape cannot say (names that must exist, URLs, addresses) is checked in the readers beside this file.
 */
const CLOSED = { additionalProperties: false } as const;

const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  title: "a name of letters, digits, '.', '_' and '-', at most 64 long",
});
const ModelName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,191}$',
  title: "a model name of letters, digits and '._:/@+-', at most 192 long",
});
const ModelGlob = Type.String({
  pattern: '^[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,191}$',
  title: "a model name, '*' standing for any characters",
});
const Duration = Type.String({ pattern: '^[0-9]{1,9}(ms|s|m|h|d)$', title: 'a duration such as 500ms, 30s, 1m, 24h or 30d' });
const Reference = Type.String({
  pattern: '^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\\u0000-\\u001f]{1,1024})$',
  title: 'a reference: env:NAME or file:/path',
});
const Listen = Type.String({ pattern: '^.{1,255}:[0-9]{1,5}$', title: 'an address such as 127.0.0.1:7070 or [::1]:7070' });
const Cidr = Type.String({ pattern: '^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$', title: 'a CIDR block such as 10.0.0.0/8, or an IP address' });
const Url = Type.String({ pattern: '^https?://[^\\s]{1,1024}$', title: 'an http or https URL' });
const Text = (title: string, maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f]*$', title });
const Count = (minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, title: `a whole number from ${minimum} to ${maximum}` });
const Money = Type.Number({ minimum: 0, maximum: 1_000_000, title: 'a price from 0 to 1000000' });
const List = <T extends Type.TSchema>(items: T, title: string, maxItems = 10_000) => Type.Array(items, { maxItems, title });

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

export const UPSTREAM_KINDS = ['ollama', 'openai', 'vllm', 'llamacpp', 'tgi', 'anthropic', 'demo'] as const;

const UpstreamItem = Type.Object(
  {
    name: Name,
    kind: Type.Enum([...UPSTREAM_KINDS], {
      title: `one of ${UPSTREAM_KINDS.join(', ')}`,
      description: 'What the server speaks. demo is built in and needs no server.',
    }),
    url: Type.Optional(
      Type.String({ ...Url, description: 'Base URL of the server. Private addresses are fine; credentials in it are not.' }),
    ),
    socketPath: Type.Optional(Text('a path of a Unix socket', 1_024)),
    maxConcurrency: Type.Optional(
      Type.Integer({ ...Count(1, 1_000_000), description: 'Requests in progress at once. Unbounded unless given.' }),
    ),
    connections: Type.Optional(Type.Integer({ ...Count(1, 65_535), default: 1_024, description: 'Sockets to the server at once.' })),
    timeouts: Type.Optional(
      Type.Object(
        {
          connect: Type.Optional(Type.String({ ...Duration, default: '3s' })),
          firstByte: Type.Optional(Type.String({ ...Duration, default: '2m', description: 'Until the first byte of the answer.' })),
          idle: Type.Optional(Type.String({ ...Duration, default: '1m', description: 'Longest pause within an answer.' })),
          total: Type.Optional(Type.String({ ...Duration, default: '10m', description: 'Longest whole exchange.' })),
        },
        { ...CLOSED, title: 'a mapping of timeouts' },
      ),
    ),
    retries: Type.Optional(
      Type.Integer({ ...Count(0, 5), default: 1, description: 'Further attempts while nothing was sent to the client.' }),
    ),
    breaker: Type.Optional(
      Type.Object(
        {
          failures: Type.Optional(
            Type.Integer({ ...Count(0, 1_000), default: 5, description: 'Failures in a row that open it; 0 turns it off.' }),
          ),
          open: Type.Optional(Type.String({ ...Duration, default: '2s', description: 'How long it stays open the first time.' })),
          maxOpen: Type.Optional(Type.String({ ...Duration, default: '1m', description: 'The longest it stays open.' })),
        },
        { ...CLOSED, title: 'a mapping of breaker settings' },
      ),
    ),
    queue: Type.Optional(
      Type.Object(
        {
          perSlot: Type.Optional(Type.Integer({ ...Count(0, 10_000), default: 32, description: 'How many may wait for each slot.' })),
          wait: Type.Optional(Type.String({ ...Duration, default: '30s', description: 'Longest wait.' })),
          slowClient: Type.Optional(
            Type.String({
              ...Duration,
              default: '10s',
              description: 'A client that keeps the server waiting this long is cut where others wait.',
            }),
          ),
        },
        { ...CLOSED, title: 'a mapping of queue settings' },
      ),
    ),
    credential: Type.Optional(Type.String({ ...Reference, description: 'Bearer token or API key for the server.' })),
    tls: Type.Optional(
      Type.Object(
        {
          ca: Type.Optional(Type.String({ ...Reference, description: 'Authorities to trust instead of the system ones, PEM.' })),
          cert: Type.Optional(Type.String({ ...Reference, description: 'Client certificate, PEM.' })),
          key: Type.Optional(Type.String({ ...Reference, description: 'Private key of the client certificate, PEM.' })),
          serverName: Type.Optional(Text('a host name', 253)),
          pins: Type.Optional(
            Type.Array(Type.String({ pattern: '^sha256/[A-Za-z0-9+/]{43}=$', title: 'a pin sha256/BASE64 of a public key (RFC 7469)' }), {
              maxItems: 32,
              title: 'a list of pins',
            }),
          ),
        },
        { ...CLOSED, title: 'a mapping of TLS settings' },
      ),
    ),
  },
  { ...CLOSED, title: 'an upstream: a mapping with name, kind and url' },
);

const ModelItem = Type.Object(
  {
    name: Type.String({ ...ModelName, description: 'What clients ask for.' }),
    upstream: Type.String({ ...Name, description: 'Name of the upstream that serves it.' }),
    target: Type.Optional(Type.String({ ...Text("the upstream's own name of the model", 256), description: 'Default: the same as name.' })),
    fallback: Type.Optional(
      Type.Array(ModelName, {
        maxItems: 16,
        title: 'a list of model names',
        description: 'Models to try, in order, when the upstream fails.',
      }),
    ),
    prompt: Type.Optional(
      Type.String({
        ...Name,
        description: 'Name of a stored system prompt (sallyport prompts) that every request for this model is given.',
      }),
    ),
    price: Type.Optional(
      Type.Object(
        { input: Type.Optional(Money), output: Type.Optional(Money), cached: Type.Optional(Money) },
        {
          ...CLOSED,
          title: 'a mapping of prices',
          description:
            'Per million tokens, for limits on spend. cached is input the server had in its cache; without it, it costs what input does.',
        },
      ),
    ),
    replicas: Type.Optional(
      Type.Array(Name, {
        maxItems: 64,
        title: 'a list of upstream names',
        description: 'Further upstreams that serve the same target; each request goes to the least loaded.',
      }),
    ),
    fallbackAnswer: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4_000, title: 'a text', description: "Answered, as the model's, where nothing else can." }),
    ),
  },
  { ...CLOSED, title: 'a model: a mapping with name and upstream' },
);

const Claim = Type.String({
  pattern: '^[^\\s\\u0000-\\u001f.]{1,128}(\\.[^\\s\\u0000-\\u001f.]{1,128}){0,7}$',
  title: 'a claim name, dot separated for nested ones',
});
const RoleNames = List(Name, 'a list of role names', 64);
const ModelGlobs = Type.Array(ModelGlob, { maxItems: 1_000, title: 'a list of model names or globs' });

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

const Detector = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,63}(:[a-z][a-z0-9-]{0,63})?$',
  title: 'a detector, with or without an action: pii:mask',
});

const LinksItem = Type.Object(
  {
    hosts: Type.Optional(
      Type.Array(
        Type.String({
          pattern: '^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$',
          title: 'a host name, or *. and a domain for all hosts below it',
        }),
        {
          maxItems: 1_000,
          title: 'a list of host names',
          default: [],
          description: 'Where links and pictures of answers may lead, whatever they carry.',
        },
      ),
    ),
    only: Type.Optional(Type.Boolean({ title: 'true or false', default: false, description: 'Refuse every other host.' })),
  },
  {
    ...CLOSED,
    title: 'a mapping with hosts and only',
    description: 'Where links and pictures of answers may lead (detector exfiltration).',
  },
);

const PersonalAction = Type.Enum(['block', 'mask', 'tokenise', 'hash', 'flag', 'pass'], {
  title: 'one of block, mask, tokenise, hash, flag, pass',
});

const PersonalSection = Type.Object(
  {
    actions: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$' }), PersonalAction, {
        title: 'actions by category or class: { email: tokenise, payment-card: block }',
        description: 'In place of the action that the lists give pii.',
      }),
    ),
    recognisers: Type.Optional(
      List(
        Type.Object(
          {
            name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,30}$', title: 'a name of lower case letters, digits and -, at most 31' }),
            pattern: Type.String({ minLength: 1, maxLength: 4_096, title: 'a pattern of at most 4096 characters' }),
            ignoreCase: Type.Optional(Type.Boolean({ title: 'true or false', default: false })),
            context: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 30, title: 'a word of at most 30 characters' }), {
                maxItems: 64,
                title: 'a list of words',
                default: [],
                description: 'One of them must stand within 32 characters before a match.',
              }),
            ),
            checksum: Type.Optional(
              Type.Enum(['luhn', 'mod97', 'mod11-10', 'verhoeff'], { title: 'one of luhn, mod97, mod11-10, verhoeff' }),
            ),
            action: Type.Optional(PersonalAction),
          },
          { ...CLOSED, title: 'a recogniser: a mapping with name and pattern' },
        ),
        'a list of recognisers',
        200,
      ),
    ),
  },
  { ...CLOSED, title: 'a mapping with actions and recognisers' },
);

const GuardsSection = Type.Object(
  {
    input: Type.Optional(
      Type.Array(Detector, { maxItems: 64, title: 'a list of detectors', description: 'What requests are inspected for.' }),
    ),
    output: Type.Optional(
      Type.Array(Detector, { maxItems: 64, title: 'a list of detectors', description: 'What answers are inspected for.' }),
    ),
    mode: Type.Optional(
      Type.Enum(['observe', 'transform', 'hold'], {
        title: 'one of observe, transform, hold',
        default: 'transform',
        description: 'observe records only, transform acts while the answer streams, hold inspects the whole answer first.',
      }),
    ),
    deny: Type.Optional(
      List(
        Type.Object(
          {
            name: Name,
            pattern: Type.String({ minLength: 1, maxLength: 4_096, title: 'a pattern of at most 4096 characters' }),
            ignoreCase: Type.Optional(Type.Boolean({ title: 'true or false', default: false })),
            stages: Type.Optional(
              Type.Array(Type.Enum(['input', 'output'], { title: 'input or output' }), {
                minItems: 1,
                maxItems: 2,
                title: 'a list of stages',
                default: ['input', 'output'],
              }),
            ),
            action: Type.Optional(Type.Enum(['block', 'redact', 'flag'], { title: 'one of block, redact, flag', default: 'block' })),
          },
          { ...CLOSED, title: 'a deny pattern: a mapping with name and pattern' },
        ),
        'a list of deny patterns',
        1_000,
      ),
    ),
    pii: Type.Optional(PersonalSection),
    onBlock: Type.Optional(Type.Enum(['fault', 'assistant'], { title: 'one of fault, assistant', default: 'fault' })),
    onUnavailable: Type.Optional(
      Type.Enum(['block', 'pass-unsafe'], {
        title: 'block (or pass-unsafe, which lets uninspected text through)',
        default: 'block',
      }),
    ),
    maxTextLength: Type.Optional(
      Type.Integer({ ...Count(1, 1_000_000_000), default: 1_000_000, description: 'UTF-16 units of one text.' }),
    ),
    links: Type.Optional(LinksItem),
  },
  { ...CLOSED, title: 'a mapping of guard settings', description: 'What is looked for, and what happens when it is found.' },
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

const ExporterItem = Type.Object(
  {
    name: Type.String({ ...Name, description: 'Names its cursor, dead letters and metrics.' }),
    kind: Type.Enum([...EXPORTER_KINDS], { title: `one of ${EXPORTER_KINDS.join(', ')}`, description: 'What the receiver speaks.' }),
    url: Type.String({
      pattern: '^(https?|tcp|tls|udp)://[^\\s]{1,1024}$',
      title: 'a URL such as https://…, tls://host:6514 or tcp://host:514',
      description: 'Where the receiver is. Credentials do not belong in it.',
    }),
    format: Type.Optional(
      Type.Enum([...EXPORT_FORMATS], {
        title: `one of ${EXPORT_FORMATS.join(', ')}`,
        default: 'json',
        description: 'How entries are written.',
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          ca: Type.Optional(Type.String({ ...Reference, description: 'Authorities to trust instead of the system ones, PEM.' })),
          cert: Type.Optional(Type.String({ ...Reference, description: 'Client certificate, PEM.' })),
          key: Type.Optional(Type.String({ ...Reference, description: 'Private key of the client certificate, PEM.' })),
          serverName: Type.Optional(Text('a host name', 253)),
        },
        { ...CLOSED, title: 'a mapping of TLS settings' },
      ),
    ),
    token: Type.Optional(Type.String({ ...Reference, description: 'HEC token, API key, bearer token, or signing secret of a webhook.' })),
    username: Type.Optional(Type.String({ ...Reference, description: 'User name, or access key id of object storage.' })),
    password: Type.Optional(Type.String({ ...Reference, description: 'Password, or secret access key of object storage.' })),
    headers: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' }), Reference, {
        ...CLOSED,
        title: 'a mapping from header names to references',
        description: 'Further HTTP headers.',
      }),
    ),
    target: Type.Optional(Text('an index, data stream or bucket', 255)),
    prefix: Type.Optional(
      Type.String({ maxLength: 512, title: 'a key prefix', default: '', description: 'Begins the keys of stored objects.' }),
    ),
    region: Type.Optional(
      Type.String({ pattern: '^[a-z0-9-]{1,64}$', title: 'a region', default: 'us-east-1', description: 'Region of the signature.' }),
    ),
    acknowledge: Type.Optional(
      Type.Boolean({
        title: 'true or false',
        default: true,
        description: 'Wait until the receiver says that it has the events, where its protocol has a way to.',
      }),
    ),
    batch: Type.Optional(
      Type.Object(
        {
          events: Type.Optional(Type.Integer({ ...Count(1, 10_000), default: 500, description: 'Entries of one batch at most.' })),
          bytes: Type.Optional(
            Type.Integer({ ...Count(1_024, 67_108_864), default: 1_048_576, description: 'Length of one batch about.' }),
          ),
          wait: Type.Optional(Type.String({ ...Duration, default: '1s', description: 'How long entries may wait for a fuller batch.' })),
        },
        { ...CLOSED, title: 'a mapping of batch settings' },
      ),
    ),
    timeout: Type.Optional(Type.String({ ...Duration, default: '30s', description: 'Longest attempt, acknowledgement included.' })),
    maxAge: Type.Optional(Type.String({ ...Duration, description: 'Older entries become dead letters. No bound unless given.' })),
    start: Type.Optional(
      Type.Enum(['oldest', 'newest'], {
        title: 'one of oldest, newest',
        default: 'oldest',
        description: 'Where a new exporter begins: with the whole ledger, or with what is written from then on.',
      }),
    ),
  },
  { ...CLOSED, title: 'an exporter: a mapping with name, kind and url' },
);

const AuditSection = Type.Object(
  {
    directory: Type.Optional(Type.String({ ...Text('a directory', 1_024), default: '.sallyport/ledger' })),
    recordFirst: Type.Optional(
      Type.Array(Type.Enum([...ACTIONS], { title: 'a known action (see docs/configuration.md)' }), {
        maxItems: ACTIONS.length,
        title: 'a list of actions',
        default: [],
        description: 'Actions that are durably on record before the upstream is asked, by an entry of their own.',
      }),
    ),
    exporters: Type.Optional(List(ExporterItem, 'a list of exporters', 64)),
  },
  { ...CLOSED, title: 'a mapping of audit settings', description: 'Where the ledger is written, and who is sent its entries.' },
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
    issuers: Type.Optional(List(IssuerItem, 'a list of issuers', 100)),
    certificates: Type.Optional(List(CertificateItem, 'a list of certificate identities')),
  },
  { ...CLOSED, title: 'a mapping of issuers and certificates', description: 'Credentials accepted beside API keys.' },
);

const Document = Type.Object(
  {
    listen: Type.Optional(ListenSection),
    tls: Type.Optional(TlsSection),
    http: Type.Optional(HttpSection),
    upstreams: Type.Optional(List(UpstreamItem, 'a list of upstreams', 1_000)),
    models: Type.Optional(List(ModelItem, 'a list of models')),
    identity: Type.Optional(IdentitySection),
    roles: Type.Optional(List(RoleItem, 'a list of roles', 1_000)),
    limits: Type.Optional(List(LimitItem, 'a list of limits', 1_000)),
    guards: Type.Optional(GuardsSection),
    storage: Type.Optional(StorageSection),
    counters: Type.Optional(CountersSection),
    audit: Type.Optional(AuditSection),
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
export const UPSTREAM: Shape<UpstreamDocument> = shape(UpstreamItem);
export const MODEL: Shape<ModelDocument> = shape(ModelItem);
export const ISSUER: Shape<IssuerDocument> = shape(IssuerItem);
export const CERTIFICATE: Shape<CertificateDocument> = shape(CertificateItem);
export const ROLE: Shape<RoleDocument> = shape(RoleItem);
export const LIMIT: Shape<LimitDocument> = shape(LimitItem);
export const GUARDS: Shape<GuardsDocument> = shape(GuardsSection);
export const STORAGE: Shape<Section<'storage'>> = shape(StorageSection);
export const COUNTERS: Shape<Section<'counters'>> = shape(CountersSection);
export const EGRESS: Shape<Section<'egress'>> = shape(EgressSection);
export const FAIRNESS: Shape<Section<'fairness'>> = shape(FairnessSection);
export const RISK: Shape<Section<'risk'>> = shape(RiskSection);
export const AUDIT: Shape<Section<'audit'>> = shape(AuditSection);
