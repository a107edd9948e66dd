import { ACTIONS, EXPORT_FORMATS, EXPORTER_KINDS, KAFKA_COMPRESSIONS, KAFKA_SASL, OTLP_PROTOCOLS } from '@sallyport/core';
import Type from 'typebox';
import type { ConfigDocument } from './document.ts';
import { CLOSED, Count, Duration, List, Name, Reference, Text } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

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
    brokers: Type.Optional(
      Type.Array(Text('host:port', 260), {
        maxItems: 256,
        title: 'a list of brokers, host:port',
        default: [],
        description: 'Kafka: the other brokers of the cluster. Those it leads to and are not named are refused.',
      }),
    ),
    sasl: Type.Optional(
      Type.Enum([...KAFKA_SASL], {
        title: `one of ${KAFKA_SASL.join(', ')}`,
        default: KAFKA_SASL[0],
        description: 'Kafka: how user and password are shown to a broker. For oauthbearer they are those of an OAuth client.',
      }),
    ),
    tokenUrl: Type.Optional(Text('the https URL of a token endpoint', 2048)),
    scope: Type.Optional(
      Type.String({
        pattern: String.raw`^[\x21\x23-\x5b\x5d-\x7e ]{1,1024}$`,
        title: 'OAuth scopes',
        description: 'Kafka: scope of the OAuth token.',
      }),
    ),
    compression: Type.Optional(
      Type.Enum([...KAFKA_COMPRESSIONS], {
        title: `one of ${KAFKA_COMPRESSIONS.join(', ')}`,
        default: KAFKA_COMPRESSIONS[0],
        description: 'Kafka: how the records of a batch are compressed.',
      }),
    ),
    protocol: Type.Optional(
      Type.Enum([...OTLP_PROTOCOLS], {
        title: `one of ${OTLP_PROTOCOLS.join(', ')}`,
        default: OTLP_PROTOCOLS[0],
        description: 'OTLP: how records are written.',
      }),
    ),
    target: Type.Optional(Text('an index, data stream, bucket or topic', 255)),
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
    onUnavailable: Type.Optional(
      Type.Enum(['refuse', 'unsafe-continue-unrecorded'], {
        title: 'one of refuse, unsafe-continue-unrecorded',
        default: 'refuse',
        description: 'What becomes of requests while the ledger cannot be written. The gap is counted, and recorded once it can.',
      }),
    ),
    retention: Type.Optional(
      Type.String({
        ...Duration,
        description: 'Older entries are removed, a segment at a time; what proves the others stays. Nothing is removed unless given.',
      }),
    ),
    bodies: Type.Optional(
      Type.Enum(['none', 'sealed'], {
        title: 'one of none, sealed',
        default: 'none',
        description: 'Whether prompts and replies are stored, encrypted under a key of each principal, beside the ledger.',
      }),
    ),
    bodiesKey: Type.Optional(
      Type.String({ ...Reference, description: 'Master key of sealed bodies: 32 bytes in base64. Default: a file made in the home.' }),
    ),
    exporters: Type.Optional(List(ExporterItem, 'a list of exporters', 64)),
  },
  { ...CLOSED, title: 'a mapping of audit settings', description: 'Where the ledger is written, and who is sent its entries.' },
);

export const AUDIT: Shape<NonNullable<ConfigDocument['audit']>> = shape(AuditSection);
