import { Folder } from '../src/normalise/folder.ts';
import { pieceOf } from '../src/window/piece.ts';
import { garble, mistype } from './garble.ts';
import { writeAttack, writeBenign, writeExtraction, writeGoal, writeHindi, writeMessage, writeTakeover } from './phrases.ts';
import type { Random } from './random.ts';
import type { Sources } from './sources.ts';

/** A stretch of folded text, as long as a window at most, and what a head should say of it. */
export interface Example {
  readonly text: string;
  readonly attack: boolean;
  readonly weight: number;
}

const LENGTHS = [256, 512, 1024] as const;
const LONGEST = 1024;
/** The share of composed attacks with typing errors. */
const MISTYPED = 0.16;

/** A text as the classifier sees it. */
export function fold(text: string): string {
  return new Folder().push(pieceOf(text.toWellFormed())).text;
}

/** What a user says: attacks against requests of all kinds, and documents that are pasted. */
export function userExamples(sources: Sources, random: Random): Example[] {
  const examples: Example[] = [];
  const ordinary = unique(sources.requests);
  add(examples, ordinary, false, 1, 2, random);
  add(examples, ordinary.filter(talksOfModels), false, 1, 1, random);
  add(examples, sample(unique(sources.documents), 8000, random), false, 0.5, 1, random);
  add(examples, written(writeBenign, 9000, random), false, 0.5, 1, random);
  add(examples, written(writeHindi, 4000, random), false, 1, 1, random);
  const direct = unique(sources.direct);
  add(examples, direct, true, 4, 3, random);
  add(examples, unique(sources.hidden), true, 3, 1, random);
  add(examples, written(writeAttack, 10000, random), true, 1, 1, random);
  add(examples, salads(sources, direct, random), true, 0.7, 1, random);
  addGarbled(examples, sources.requests, direct, random);
  // Behind or before an ordinary request.
  const requests = sources.requests.filter(({ length }) => length < 400);
  const short = direct.filter(({ length }) => length < 400);
  for (let count = 0; count < 4000; count++) {
    const attack = random.next() < 0.6 ? random.pick(short) : writeAttack(random);
    const parts = [fold(random.pick(requests)), fold(random.next() < MISTYPED ? mistype(attack, random) : attack)];
    if (random.next() < 0.4) parts.reverse();
    examples.push({ text: parts.join(random.pick([' ', '\n', '\n\n', '. '])).slice(0, LONGEST), attack: true, weight: 1 });
  }
  random.shuffle(examples);
  return examples;
}

/** What comes from elsewhere: documents as they are against documents with an attack in them. */
export function untrustedExamples(sources: Sources, random: Random): Example[] {
  const examples: Example[] = [];
  const documents = unique(sources.documents);
  add(examples, documents, false, 1, 3, random);
  add(examples, documents.filter(talksOfModels), false, 1, 3, random);
  // Tool results and fields of records are short: what a document says in one sentence is no attack either.
  for (const document of documents) {
    for (const sentence of sample(sentences(document), 4, random)) examples.push({ text: fold(sentence), attack: false, weight: 0.5 });
  }
  add(examples, written(writeMessage, 5000, random), false, 1, 1, random);
  const payloads = unique([...sources.hidden, ...sources.instructions, ...sources.direct.filter(({ length }) => length < 500)]);
  add(examples, payloads, true, 1, 1, random);
  // An instruction alone in place of a document is out of place, whatever it asks for.
  const requests = unique(sources.requests.filter(({ length }) => length > 20 && length < 250));
  add(examples, sample(requests, 3000, random), true, 0.5, 1, random);
  add(
    examples,
    sources.poisoned.filter(({ length }) => length <= LONGEST),
    true,
    1,
    1,
    random,
  );
  add(
    examples,
    sources.direct.filter(({ length }) => length >= 500),
    true,
    1,
    1,
    random,
  );
  add(examples, written(writeAttack, 3000, random), true, 0.5, 1, random);
  add(examples, written(writeGoal, 3000, random), true, 0.5, 1, random);
  addGarbled(examples, documents, payloads, random);
  const hosts = documents.filter(({ length }) => length > 200);
  for (let count = 0; count < 16000; count++) {
    const kind = random.next();
    const payload = fold(kind < 0.65 ? random.pick(payloads) : kind < 0.93 ? writeAttack(random) : writeGoal(random)).slice(0, 800);
    const text = embed(payload, fold(random.pick(hosts)), random);
    examples.push({
      text: random.next() < MISTYPED ? mistype(text, random).slice(0, LONGEST) : text,
      attack: true,
      weight: 1,
    });
  }
  random.shuffle(examples);
  return examples;
}

/** What asks for the prompt, or for what it says: against other attacks, too, so that it is a class of its own. */
export function extractionExamples(sources: Sources, random: Random): Example[] {
  const examples: Example[] = [];
  const ordinary = unique(sources.requests);
  add(examples, ordinary, false, 1, 1, random);
  add(examples, ordinary.filter(talksOfModels), false, 1, 2, random);
  add(examples, sample(unique(sources.documents), 5000, random), false, 0.5, 1, random);
  add(examples, written(writeBenign, 9000, random), false, 0.5, 1, random);
  add(examples, written(writeHindi, 1000, random), false, 1, 1, random);
  add(examples, written(writeTakeover, 4000, random), false, 0.3, 1, random);
  const direct = unique(sources.direct).filter(({ length }) => length <= 400);
  const found = direct.filter(asksForPrompt);
  add(
    examples,
    direct.filter((text) => !asksForPrompt(text)),
    false,
    0.3,
    1,
    random,
  );
  add(examples, found, true, 4, 1, random);
  const requests = written(writeExtraction, 8000, random);
  add(examples, requests, true, 1, 1, random);
  add(
    examples,
    requests.slice(0, 2000).map((text) => mistype(text, random)),
    true,
    0.7,
    1,
    random,
  );
  const short = ordinary.filter(({ length }) => length < 120);
  for (let count = 0; count < 2000; count++) {
    const parts = [fold(random.pick(short)), fold(random.next() < 0.5 && found.length > 0 ? random.pick(found) : writeExtraction(random))];
    if (random.next() < 0.4) parts.reverse();
    examples.push({ text: parts.join(random.pick([' ', '\n', '. '])).slice(0, 256), attack: true, weight: 1 });
  }
  random.shuffle(examples);
  return examples;
}

/** Whether an attack is about what the model was told. */
function asksForPrompt(text: string): boolean {
  return (
    /\b(?:system|initial|hidden|secret|original|full|your|the|my|above|previous)\W{1,3}(?:\w+\W){0,2}(?:prompts?|instructions?|passwords?|access codes?|messages?|directives?|configuration|keys?)\b/i.test(
      text,
    ) &&
    /\b(?:reveal|show|print|repeat|output|display|tell|give|write|share|leak|dump|recite|list|spell|return|what|copy|translate|summari[sz]e|say|disclose|zeig|nenn|gib|wie lautet|was)\w{0,3}\b/i.test(
      text,
    )
  );
}

/** The lines and sentences of a text that say something. */
export function sentences(text: string): string[] {
  return text.split(/\n|(?<=[.!?。]) ?/).filter(({ length }) => length >= 4 && length <= 250);
}

/** A stretch of a document with a payload at its start, its end or between two lines or sentences. */
function embed(payload: string, document: string, random: Random): string {
  const room = Math.max(80, random.pick(LENGTHS) - payload.length);
  const from = random.below(Math.max(1, document.length - room));
  const host = document.slice(from, from + room);
  const breaks = [...host.matchAll(/\n|[.!?] /g)].map(({ index, 0: mark }) => index + mark.length);
  const at = random.pick([0, host.length, ...breaks]);
  return (host.slice(0, at) + payload + random.pick([' ', '\n', '\n\n']) + host.slice(at)).slice(0, LONGEST);
}

/** Misspelt attacks are attacks; ordinary texts misspelt, spelled out or encoded are none. */
function addGarbled(examples: Example[], ordinary: readonly string[], attacks: readonly string[], random: Random): void {
  for (let count = 0; count < 4000; count++) {
    const text = random.pick(ordinary);
    const from = random.below(Math.max(1, text.length - 500));
    add(examples, [garble(text.slice(from, from + 500), random)], false, 0.5, 1, random);
    add(examples, [mistype(random.pick(attacks), random)], true, 0.7, 1, random);
  }
}

/** Ordinary texts in the words of attacks are the hardest to tell: they are learned from twice. */
function talksOfModels(text: string): boolean {
  return /\b(?:prompts?|instructions?|ignore|bypass|override|jailbreak|chatbot|assistant|LLM|system message|pretend|act as|role-?play)\b/i.test(
    text,
  );
}

const SCRAPS = '! | ! ! | { | } | ]( | ** | -- | =\\"/ | $( | \\n | || | */ | <!-- | }); | [/ | ... | #!/ | +#+ | >>> | ?? | ;; | ::'.split(
  ' | ',
);

/** What a search for the tokens that work leaves behind: an order, and scraps of words, languages and code around it. */
function salads(sources: Sources, direct: readonly string[], random: Random): string[] {
  const short = direct.filter(({ length }) => length < 100);
  return Array.from({ length: 1500 }, () => {
    const scraps = Array.from({ length: 6 + random.below(18) }, () => {
      if (random.next() < 0.3) return random.pick(SCRAPS);
      const words = random.pick(random.next() < 0.5 ? sources.requests : sources.documents).match(/[\p{L}\p{M}]{2,12}/gu) ?? ['word'];
      return random.pick(words) + (random.next() < 0.15 ? random.pick(words) : '');
    });
    const parts = [scraps.join(random.next() < 0.2 ? '' : ' ')];
    const order = random.next() < 0.5 ? random.pick(short) : writeAttack(random).slice(0, 100);
    const kind = random.next();
    if (kind < 0.6) parts.unshift(order);
    else if (kind < 0.8) parts.push(order);
    return parts.join(' ');
  });
}

function add(examples: Example[], texts: readonly string[], attack: boolean, weight: number, windows: number, random: Random): void {
  for (const text of texts) {
    for (const window of cut(fold(text), windows, random)) examples.push({ text: window, attack, weight });
  }
}

/** The text itself where it is short, else up to `most` stretches of it. */
function cut(text: string, most: number, random: Random): string[] {
  if (text.length <= 256) return [text];
  const windows = text.length <= LONGEST ? [text] : [];
  while (windows.length < most) {
    const length = Math.min(random.pick(LENGTHS), text.length);
    const from = random.below(text.length - length + 1);
    windows.push(text.slice(from, from + length));
  }
  return windows;
}

function written(write: (random: Random) => string, count: number, random: Random): string[] {
  return unique(Array.from({ length: count }, () => write(random)));
}

function sample(texts: string[], count: number, random: Random): string[] {
  random.shuffle(texts);
  return texts.slice(0, count);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => text.trim()))].filter((text) => text !== '');
}
