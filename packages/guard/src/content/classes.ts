import { bitOf, type Concept } from './concepts.ts';

/** What `content` tells apart, in the order of the weights. */
export const CONTENT_CLASSES = ['self-harm', 'violence', 'sexual', 'hate', 'weapons', 'crime'] as const;
export type ContentClass = (typeof CONTENT_CLASSES)[number];

/** Concepts of which one must be there: without any, nothing that a person asks or a model says is of the class, whatever else it is like. */
const ANCHORS: Readonly<Record<ContentClass, readonly Concept[]>> = {
  'self-harm': ['suicide', 'self'],
  violence: ['kill', 'hurt', 'poison', 'explosive', 'weapon', 'death'],
  sexual: ['sex', 'abuse'],
  hate: ['group', 'colour', 'demean'],
  weapons: ['weapon', 'explosive', 'poison'],
  crime: ['steal', 'fraud', 'hack', 'drug', 'crime', 'evade', 'abuse', 'explosive'],
};

/** `ANCHORS` as sets, by the number of the class. */
export const ANCHOR_SETS: readonly number[] = CONTENT_CLASSES.map((name) =>
  ANCHORS[name].reduce((set, concept) => set | bitOf(concept), 0),
);

/** Every anchor: a passage without one is of no class. */
export const ANY_ANCHOR: number = ANCHOR_SETS.reduce((all, set) => all | set, 0);
