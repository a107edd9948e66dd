import type { Finding, GuardSettings, TextEdit } from '@sallyport/core';
import type { Guard, TextContext } from '../src/guard.ts';

export const SETTINGS: GuardSettings = {
  input: ['characters', 'length'],
  output: ['characters', 'length'],
  mode: 'transform',
  deny: [],
  onBlock: 'fault',
  onUnavailable: 'block',
  maxTextLength: 100_000,
  links: { hosts: [], only: false },
};

export const INPUT: TextContext = { stage: 'input', provenance: 'user', kind: null };
export const OUTPUT: TextContext = { stage: 'output', provenance: 'assistant', kind: 'text' };

/** Everything a reader of a window sees. `released` is the text that left, edits applied. */
export interface Outcome {
  readonly effect: string;
  readonly released: string;
  readonly offset: number;
  readonly edits: readonly TextEdit[];
  readonly findings: readonly Finding[];
}

const STRENGTH = ['pass', 'flag', 'redact', 'unavailable', 'block'];

/** Reads a text in pieces, checking what every step must hold. */
export function readPieces(guard: Guard, context: TextContext, pieces: readonly string[]): Outcome {
  const window = guard.open(context);
  const text = pieces.join('');
  const edits: TextEdit[] = [];
  const findings: Finding[] = [];
  let released = '';
  let offset = 0;
  let read = 0;
  let effect = 'pass';
  for (let index = 0; index <= pieces.length; index++) {
    const piece = pieces[index];
    const step = piece === undefined ? window.end() : window.push(piece);
    read += piece?.length ?? 0;
    if (step.released < offset || step.released > read) throw new Error(`released ${step.released} after ${offset}, read ${read}`);
    let from = offset;
    for (const edit of step.edits) {
      if (edit.start < from || edit.end <= edit.start || edit.end > step.released) throw new Error('an edit lies outside of its step');
      released += text.slice(from, edit.start) + edit.text;
      from = edit.end;
    }
    released += text.slice(from, step.released);
    offset = step.released;
    edits.push(...step.edits);
    findings.push(...step.findings);
    if (STRENGTH.indexOf(step.effect) > STRENGTH.indexOf(effect)) effect = step.effect;
    if (step.effect === 'block') break;
  }
  if (effect !== 'block' && offset !== text.length) throw new Error('text was withheld at the end');
  return { effect, released, offset, edits, findings };
}

/** The pieces of a text when it is cut before the given bits' positions. */
export function cutByMask(text: string, mask: number): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (let at = 1; at < text.length; at++) {
    if ((mask >> (at - 1)) & 1) {
      pieces.push(text.slice(from, at));
      from = at;
    }
  }
  pieces.push(text.slice(from));
  return pieces;
}

/** Pieces of random length up to `most`. */
export function cutAtRandom(text: string, most: number, random: () => number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const size = Math.floor(random() * (most + 1));
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

/** A small seeded generator (mulberry32), so that a failure can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
