import Type from 'typebox';
import type { ModelDocument, UpstreamDocument } from './document.ts';
import { CLOSED, Count, Duration, ModelName, Money, Name, Reference, Text, Url } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

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
    hedgeAfter: Type.Optional(
      Type.String({
        pattern: '^(p95|[0-9]{1,9}(ms|s|m))$',
        title: 'p95, or a duration such as 800ms or 3s',
        description:
          'When a second replica is asked because the first has not begun to answer: after so long, or after what 95 % of the answers took of late. Never unless given.',
      }),
    ),
    fallbackAnswer: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4_000, title: 'a text', description: "Answered, as the model's, where nothing else can." }),
    ),
  },
  { ...CLOSED, title: 'a model: a mapping with name and upstream' },
);

export const UPSTREAM: Shape<UpstreamDocument> = shape(UpstreamItem);
export const MODEL: Shape<ModelDocument> = shape(ModelItem);
