import { GUARD_PACKS, INSPECTED_ENDPOINTS } from '@sallyport/core';
import Type from 'typebox';
import type { GuardsDocument } from './document.ts';
import { CLOSED, Count, Duration, List, ModelGlobs, Name, Reference, Text, Url } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

const Detector = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,63}(:[a-z][a-z0-9-]{0,63})?$',
  title: 'a detector, with or without an action: pii:mask',
});

const HostName = Type.String({
  pattern: '^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$',
  title: 'a host name, or *. and a domain for all hosts below it',
});

const LinksItem = Type.Object(
  {
    hosts: Type.Optional(
      Type.Array(HostName, {
        maxItems: 1_000,
        title: 'a list of host names',
        default: [],
        description: 'Where links and pictures of answers may lead, whatever they carry.',
      }),
    ),
    only: Type.Optional(Type.Boolean({ title: 'true or false', default: false, description: 'Refuse every other host.' })),
  },
  {
    ...CLOSED,
    title: 'a mapping with hosts and only',
    description: 'Where links and pictures of answers may lead (detector exfiltration).',
  },
);

const Probability = Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, title: 'a score between 0 and 1' });

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

const ContentSection = Type.Object(
  {
    actions: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$' }),
        Type.Enum(['block', 'flag', 'pass'], { title: 'one of block, flag, pass' }),
        {
          title: 'actions by class: { self-harm: block, crime: pass }',
          description: 'In place of the action that the lists give content.',
        },
      ),
    ),
  },
  { ...CLOSED, title: 'a mapping with actions' },
);

const ContractSection = Type.Object(
  {
    schema: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        title: 'a JSON Schema (2020-12)',
        description: 'The reply is JSON that fits it, and leaves when all of it was read.',
      }),
    ),
    requested: Type.Optional(
      Type.Boolean({
        title: 'true or false',
        default: false,
        description: 'A reply whose request asks for JSON (response_format and the like) is JSON that fits what was asked for.',
      }),
    ),
    languages: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z]{2}$', title: 'an ISO 639-1 code such as en' }), {
        minItems: 1,
        maxItems: 60,
        title: 'a list of languages',
        description: 'The reply is in one of them.',
      }),
    ),
    minLength: Type.Optional(Type.Integer({ ...Count(0, 1_000_000), default: 0, description: 'UTF-16 units.' })),
    maxLength: Type.Optional(Type.Integer({ ...Count(1, 1_000_000_000), description: 'UTF-16 units; what follows is left out.' })),
    links: Type.Optional(
      Type.Array(HostName, {
        maxItems: 1_000,
        title: 'a list of host names',
        description: 'The only hosts that links and pictures may lead to: guards.links with only: true.',
      }),
    ),
    repair: Type.Optional(
      Type.Boolean({
        title: 'true or false',
        default: true,
        description: 'JSON is taken out of what stands around it, a reply that is too long is cut.',
      }),
    ),
    onBreach: Type.Optional(
      Type.Enum(['refuse', 'flag'], {
        title: 'one of refuse, flag',
        default: 'refuse',
        description: 'What happens to a reply that breaks it and cannot be repaired.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of what a reply has to be', description: 'What replies are held to.' },
);

/** What may be said wherever a guard policy is written. */
const POLICY = {
  pack: Type.Optional(
    Type.Enum([...GUARD_PACKS], {
      title: `one of ${GUARD_PACKS.join(', ')}`,
      default: 'balanced',
      description:
        'A ready-made policy; what is written beside it stands in place of its own. strict blocks what is suspicious, observe only records.',
    }),
  ),
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
  content: Type.Optional(ContentSection),
  onBlock: Type.Optional(Type.Enum(['fault', 'assistant'], { title: 'one of fault, assistant', default: 'fault' })),
  onUnavailable: Type.Optional(
    Type.Enum(['block', 'pass-unsafe'], {
      title: 'block (or pass-unsafe, which lets uninspected text through)',
      default: 'block',
    }),
  ),
  maxTextLength: Type.Optional(Type.Integer({ ...Count(1, 1_000_000_000), default: 1_000_000, description: 'UTF-16 units of one text.' })),
  links: Type.Optional(LinksItem),
  actions: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$' }),
      Type.String({ pattern: '^[a-z]{1,16}$', title: 'an action such as block or flag' }),
      {
        title: 'actions by detector: { injection: flag }',
        description: 'The action of detectors of the lists, in place of the one they have there.',
      },
    ),
  ),
  contract: Type.Optional(ContractSection),
  thresholds: Type.Optional(
    Type.Object(
      {
        injection: Type.Optional(
          Type.Object(
            { flag: Type.Optional(Probability), block: Type.Optional(Probability) },
            { ...CLOSED, title: 'a mapping with flag and block' },
          ),
        ),
      },
      {
        ...CLOSED,
        title: 'thresholds by detector: { injection: { block: 0.9 } }',
        description: 'Scores from which on the classifier reports and blocks, for every length, in place of the calibrated ones.',
      },
    ),
  ),
};

const ShadowSection = Type.Object(POLICY, {
  ...CLOSED,
  title: 'a mapping of guard settings',
  description:
    'A candidate that runs beside the policy. What it would have done is recorded and never done. It looks only for what it names.',
});

const OverrideItem = Type.Object(
  {
    name: Type.String({ ...Name, description: 'Names the policy in the ledger.' }),
    models: Type.Optional(ModelGlobs),
    endpoints: Type.Optional(
      Type.Array(Type.Enum([...INSPECTED_ENDPOINTS], { title: `one of ${INSPECTED_ENDPOINTS.join(', ')}` }), {
        minItems: 1,
        maxItems: INSPECTED_ENDPOINTS.length,
        title: 'a list of endpoints',
      }),
    ),
    roles: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 64, title: 'a list of role names' })),
    tenants: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 1_000, title: 'a list of tenants' })),
    ...POLICY,
    shadow: Type.Optional(ShadowSection),
  },
  { ...CLOSED, title: 'an override: a mapping with name, whom it is for and what is other for them' },
);

const ClassifierSection = Type.Object(
  {
    kind: Type.Enum(['chat', 'score'], {
      title: 'one of chat, score',
      description: 'chat: a guard model behind the OpenAI chat API; score: a service that answers with a number.',
    }),
    url: Type.String({ ...Url, description: 'The whole URL of the endpoint: http://guard:8000/v1/chat/completions.' }),
    model: Type.Optional(Text("the classifier's own name of the model", 256)),
    instructions: Type.Optional(Text('a system message', 4_000)),
    credential: Type.Optional(Type.String({ ...Reference, description: 'Bearer token for it.' })),
    timeout: Type.Optional(Type.String({ ...Duration, default: '2s' })),
    threshold: Type.Optional(Type.Number({ ...Probability, default: 0.5 })),
    maxConcurrency: Type.Optional(Type.Integer({ ...Count(1, 1_000), default: 8 })),
    remember: Type.Optional(Type.String({ ...Duration, default: '10m' })),
    onUnavailable: Type.Optional(Type.Enum(['block', 'local'], { title: 'one of block, local', default: 'block' })),
  },
  { ...CLOSED, title: 'a classifier: a mapping with kind and url', description: 'Asked about what is suspicious and not certain.' },
);

const GuardsSection = Type.Object(
  {
    ...POLICY,
    classifier: Type.Optional(ClassifierSection),
    shadow: Type.Optional(ShadowSection),
    overrides: Type.Optional(
      Type.Array(OverrideItem, {
        maxItems: 200,
        title: 'a list of overrides',
        description: 'Other policies for some models, endpoints, roles or tenants. The first that applies stands.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of guard settings', description: 'What is looked for, and what happens when it is found.' },
);

export const GUARDS: Shape<GuardsDocument> = shape(GuardsSection);
