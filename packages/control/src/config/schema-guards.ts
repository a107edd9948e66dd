import Type from 'typebox';
import type { GuardsDocument } from './document.ts';
import { CLOSED, Count, List, Name } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

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

export const GUARDS: Shape<GuardsDocument> = shape(GuardsSection);
