import type { GuardSettings } from '@sallyport/core';
import { CONTENT_CLASSES } from './content/classes.ts';
import { contentDetectors } from './content/content.ts';
import { CharacterDetector } from './detect/characters.ts';
import type { Action, Label, Reader } from './detect/detector.ts';
import { LengthDetector } from './detect/length.ts';
import { EntityDetector } from './entities/entities.ts';
import { ExfiltrationDetector } from './exfiltration/exfiltration.ts';
import { echoReaders, injectionReaders } from './injection/injection.ts';
import { personalDetector, webAddressDetector } from './personal/personal.ts';
import { SystemPromptDetector } from './prompt/system-prompt.ts';
import { secretsDetector } from './secrets/secrets.ts';

/** Which list of `guards` a detector is named in: `input` is also used for documents and tool results on their way to a model. */
export type Side = 'input' | 'output';

/** What a list may ask a detector to do: the last two for personal data only. */
export type ActionWord = Action | 'tokenise' | 'hash';

/** What a configuration may name. */
export interface DetectorInfo {
  readonly name: string;
  readonly description: string;
  readonly sides: readonly Side[];
  /** Actions that may be given as `name:action`. */
  readonly actions: readonly ActionWord[];
  /** What it does without an action. */
  readonly defaults: Readonly<Record<Side, string>>;
}

export interface DetectorEntry extends DetectorInfo {
  /** `action` is null where the configuration leaves it to the default. */
  make(action: Action | null, side: Side, settings: GuardSettings, maxHold: number, form: Label['form']): readonly Reader[];
}

export const ENTRIES: readonly DetectorEntry[] = [
  {
    name: 'characters',
    description: 'control, zero-width, tag, variation-selector and bidirectional characters; text hidden in them',
    sides: ['input', 'output'],
    actions: ['block', 'redact', 'flag'],
    defaults: { input: 'block hidden text, redact stray characters', output: 'redact' },
    make: (action, side) => [
      {
        reads: 'original',
        detector: new CharacterDetector({ payload: action ?? (side === 'input' ? 'block' : 'redact'), stray: action ?? 'redact' }),
      },
    ],
  },
  {
    name: 'length',
    description: 'texts longer than maxTextLength, and one character or short period repeated over more than 2,000 units',
    sides: ['input', 'output'],
    actions: ['block', 'flag'],
    defaults: { input: 'block a text that is too long, flag repetition', output: 'flag' },
    make: (action, side, settings) => {
      // A table or a text pasted many times repeats itself too: that alone is no attack.
      const actions = { tooLong: action ?? (side === 'input' ? 'block' : 'flag'), repetition: action ?? 'flag' };
      return [{ reads: 'original', detector: new LengthDetector(actions, settings.maxTextLength) }];
    },
  },
  {
    name: 'secrets',
    description: 'credentials: provider tokens, private keys, passwords by what they are assigned to, connection strings',
    sides: ['input', 'output'],
    actions: ['block', 'redact', 'flag'],
    defaults: { input: 'redact', output: 'redact' },
    make: (action, _side, _settings, maxHold) => [{ reads: 'both', detector: secretsDetector(action ?? 'redact', maxHold) }],
  },
  {
    name: 'pii',
    description:
      'personal data with a form of its own: e-mail, telephone, cards, IBANs, national identifiers, IP and MAC addresses, wallets, dates of birth',
    sides: ['input', 'output'],
    actions: ['block', 'redact', 'tokenise', 'hash', 'flag'],
    defaults: { input: 'redact', output: 'redact, flag in tool arguments' },
    make: (action, _side, settings, maxHold, form) => [{ reads: 'both', detector: personalDetector(action, form, settings, maxHold) }],
  },
  {
    name: 'entities',
    description:
      'people, places, postal addresses, organisations, titles, ages, nationalities, dates, by a trained tagger, and web addresses; not on unless named',
    sides: ['input', 'output'],
    actions: ['block', 'redact', 'tokenise', 'hash', 'flag'],
    defaults: { input: 'redact', output: 'redact, flag in tool arguments' },
    make: (action, _side, settings, maxHold, form) => [
      { reads: 'original', detector: new EntityDetector(action, form, settings) },
      { reads: 'both', detector: webAddressDetector(action, form, settings, maxHold) },
    ],
  },
  {
    name: 'injection',
    description:
      'attempts to take over the model: prompt injection, jailbreaks, system-prompt extraction, fake role tokens; in a reply, by their form, those for whoever reads it next',
    sides: ['input', 'output'],
    actions: ['block', 'flag'],
    defaults: { input: 'block what is certain, flag what is suspicious', output: 'flag; not on unless named' },
    make: (action, side, settings, maxHold) =>
      side === 'output'
        ? echoReaders(action, maxHold)
        : injectionReaders(action, maxHold, settings.thresholds?.injection, settings[side].includes('normalise')),
  },
  {
    name: 'content',
    description: `${CONTENT_CLASSES.join(', ')}: what asks for it and what is it, by a trained classifier, English; experimental, not on unless named`,
    sides: ['input', 'output'],
    actions: ['block', 'flag'],
    defaults: { input: 'flag', output: 'flag' },
    make: (action, _side, settings, maxHold) =>
      contentDetectors(action, settings, maxHold).map((detector) => ({ reads: 'folded' as const, detector })),
  },
  {
    name: 'exfiltration',
    description: 'ways out of a reply: images, links, HTML, CSS and terminal sequences that carry data to somebody else',
    sides: ['output'],
    actions: ['block', 'redact', 'flag'],
    defaults: { input: '', output: 'redact' },
    make: (action, _side, { links }) => [{ reads: 'original', detector: new ExfiltrationDetector(action ?? 'redact', links) }],
  },
  {
    name: 'system-prompt',
    description:
      'passages of the system prompt in a reply, also spread out, encoded, reversed or in ROT13, and the canary Sallyport puts into its prompts',
    sides: ['output'],
    actions: ['block', 'redact', 'flag'],
    defaults: { input: '', output: 'redact' },
    make: (action) => [{ reads: 'folded', detector: new SystemPromptDetector(action ?? 'redact') }],
  },
];

const NORMALISE: DetectorInfo = {
  name: 'normalise',
  description: 'no finding of its own: the detectors that look for patterns also see the text in plain letters, behind disguises',
  sides: ['input', 'output'],
  actions: [],
  defaults: { input: 'look behind disguises', output: 'look behind disguises' },
};

/** The operator's own patterns; always on where there are any, each with its own action. */
const DENY: DetectorInfo = {
  name: 'deny',
  description: "the operator's patterns (guards.deny); on whenever there are any, named in the list or not",
  sides: ['input', 'output'],
  actions: [],
  defaults: { input: 'as each pattern says', output: 'as each pattern says' },
};

/** Every detector that exists. */
export const GUARD_DETECTORS: readonly DetectorInfo[] = [
  ...ENTRIES.map(({ name, description, sides, actions, defaults }) => ({ name, description, sides, actions, defaults })),
  NORMALISE,
  DENY,
];

/** The lists of a configuration that names none. */
export const DEFAULT_INPUT: readonly string[] = ['normalise', 'characters', 'length', 'injection', 'secrets', 'pii'];
export const DEFAULT_OUTPUT: readonly string[] = ['normalise', 'characters', 'length', 'system-prompt', 'exfiltration', 'secrets', 'pii'];
