import type { Finding, GuardSettings, Severity } from '@sallyport/core';
import { compileGuard, type Exchange } from '@sallyport/guard';
import { PROBES } from './prompt-probes.ts';

/** Something in a system prompt that does not belong there: a class and a place, never the words. Lines count from 1. */
export interface PromptFinding {
  readonly category: string;
  readonly severity: Severity;
  readonly line: number;
  /** UTF-16 offsets into the prompt. */
  readonly start: number;
  readonly end: number;
}

export interface PromptCheck {
  readonly findings: readonly PromptFinding[];
  /** Requests that ask for the prompt: how many the configured input guard blocks, how many more it flags. */
  readonly probes: { readonly total: number; readonly blocked: number; readonly flagged: number };
  /** Replies that give the prompt away in one form each: the forms, and those that the configured output guard lets out. */
  readonly leaks: { readonly forms: number; readonly missed: readonly string[] };
}

/**
 * What a system prompt gives away once somebody gets it (credentials, personal data, names of the inside), and how the configured guard
 * stands between it and those who ask. Nothing is sent anywhere.
 * @throws GuardConfigError
 */
export function checkPrompt(text: string, guards: GuardSettings): PromptCheck {
  return { findings: findIn(text), probes: probe(guards), leaks: leak(text, guards) };
}

/** Looks for everything, whatever the configuration looks for. */
function findIn(text: string): PromptFinding[] {
  const guard = compileGuard({
    input: ['normalise', 'characters', 'secrets', 'pii'],
    output: [],
    mode: 'observe',
    deny: INSIDE.map(([name, pattern]) => ({ name, pattern, ignoreCase: true, stages: ['input'], action: 'flag' })),
    onBlock: 'fault',
    onUnavailable: 'block',
    maxTextLength: Number.MAX_SAFE_INTEGER,
    links: { hosts: [], only: false },
  });
  // As if a user had said it: what an application may say of itself is not the question here.
  const verdict = guard.inspect(text, { stage: 'input', provenance: 'user', kind: null });
  const findings: readonly Finding[] = verdict.effect === 'pass' ? [] : verdict.findings;
  return findings.map(({ category, severity, start, end }) => ({
    category,
    severity,
    line: text.slice(0, start).split('\n').length,
    start,
    end,
  }));
}

/** Names and addresses of a private network. */
const INSIDE: readonly (readonly [name: string, pattern: string])[] = [
  [
    'internal-host',
    '\\b([a-z0-9-]{1,63}\\.){1,8}(internal|intern|intra|intranet|corp|lan|local|localdomain|private|home\\.arpa|svc\\.cluster)\\b',
  ],
  ['local-host', '\\blocalhost(:[0-9]{2,5})?\\b'],
  [
    'internal-address',
    '\\b(10\\.[0-9]{1,3}|192\\.168|172\\.(1[6-9]|2[0-9]|3[01])|127\\.[0-9]{1,3}|169\\.254)\\.[0-9]{1,3}(\\.[0-9]{1,3})?\\b',
  ],
  ['internal-path', '(/(srv|opt|home|var|etc|mnt)/[a-z0-9._-]{2,64}|\\\\\\\\[a-z0-9-]{2,15}\\\\[a-z0-9$._-]{1,64})'],
];

function probe(guards: GuardSettings): PromptCheck['probes'] {
  const guard = compileGuard(guards);
  let blocked = 0;
  let flagged = 0;
  for (const text of PROBES) {
    const { effect } = guard.inspect(text, { stage: 'input', provenance: 'user', kind: null });
    if (effect === 'block') blocked += 1;
    else if (effect !== 'pass') flagged += 1;
  }
  return { total: PROBES.length, blocked, flagged };
}

/** How a model was asked to hand over its prompt, and did. */
const FORMS: Readonly<Record<string, (text: string) => string>> = {
  verbatim: (text) => text,
  'upper case': (text) => text.toUpperCase(),
  spaced: (text) => [...text].join(' '),
  'one word a line': (text) => text.split(/\s+/).join('\n'),
  base64: (text) => Buffer.from(text).toString('base64'),
  hexadecimal: (text) => Buffer.from(text).toString('hex'),
  'percent-encoded': encodeURIComponent,
  reversed: (text) => [...text].reverse().join(''),
  rot13: (text) =>
    text.replace(/[a-z]/gi, (letter) => {
      const base = letter <= 'Z' ? 65 : 97;
      return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base);
    }),
  'first half': (text) => text.slice(0, Math.ceil(text.length / 2)),
  'second half': (text) => text.slice(Math.floor(text.length / 2)),
};

function leak(text: string, guards: GuardSettings): PromptCheck['leaks'] {
  const guard = compileGuard(guards);
  const exchange: Exchange = { given: [], prompt: text, canary: null };
  const missed = Object.entries(FORMS)
    .filter(([, form]) => {
      const verdict = guard.inspect(form(text), { stage: 'output', provenance: 'assistant', kind: 'text', exchange });
      return verdict.effect === 'pass' || !verdict.findings.some(({ detector }) => detector === 'system-prompt');
    })
    .map(([name]) => name);
  return { forms: Object.keys(FORMS).length, missed };
}
