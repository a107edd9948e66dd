import type { Finding } from '@sallyport/core';
import type { Allowed, Guard, TextContext } from './guard.ts';

/** Units of a text on either side of a seam that are read together with what it is joined to; a text of two such edges is read whole. */
const EDGE = 256;
/** Units of joined text that are judged at a time. What was joined in earlier turns is the same again, and may be remembered. */
export const SEAM_CHUNK = 2048;

/** What texts of a conversation say together and none of them alone. */
export interface SeamVerdict {
  readonly effect: 'flag' | 'block';
  /** Offsets are those in the text `index`. */
  readonly findings: readonly Finding[];
  /** The text in which what was found ends. */
  readonly index: number;
}

/** A stretch of one text in the joined text. */
interface Stretch {
  readonly index: number;
  /** Where it begins in the joined text, and in its own. */
  readonly at: number;
  readonly from: number;
  readonly text: string;
  /** Whether it begins its text: there the text before it is sewn on. */
  readonly begins: boolean;
}

/**
 * Judges the seams of texts that a model reads one after the other: messages of one speaker, documents of one request. An instruction split
 * over them is in none of them. Short texts are joined whole, of long ones what is within `EDGE` units of a seam, so that the work is linear
 * in the texts. Only what `injection` finds across a seam counts; each text is to be judged by itself before. Yields for each stretch of
 * joined text, null where nothing is across its seams.
 *
 * @param guard made by `compileSeamGuard`: another one ends its reading at what it finds within a text
 */
export function* seamVerdicts(guard: Guard, texts: readonly string[], context: TextContext): Generator<SeamVerdict | null> {
  if (texts.length < 2) return;
  for (const chunk of chunksOf(texts)) yield judge(guard, chunk, context);
}

function judge(guard: Guard, chunk: readonly Stretch[], context: TextContext): SeamVerdict | null {
  const seams = chunk.slice(1).filter(({ begins }) => begins);
  const within: Allowed = {
    allows: (detector, _category, _matched, start, end) => detector !== 'injection' || !seams.some(({ at }) => start < at - 1 && end > at),
  };
  const verdict = guard.inspect(chunk.map(({ text }) => text).join('\n'), { ...context, allowed: within });
  const last = verdict.effect === 'pass' ? undefined : verdict.findings.at(-1);
  const host = chunk.findLast(({ at }) => at < (last?.end ?? 0));
  if (verdict.effect === 'pass' || last === undefined || host === undefined) return null;
  const place = (finding: Finding): Finding => {
    const [start, end] = [finding.start, finding.end].map((offset) => Math.max(0, offset - host.at) + host.from);
    return { ...finding, start: start ?? 0, end: end ?? 0 };
  };
  const note: Finding = { detector: 'normalise', category: 'split-over-texts', severity: 'high', start: last.start, end: last.end };
  const findings = [...withoutOverlaps(verdict.findings), note].map(place);
  return { effect: verdict.effect === 'block' ? 'block' : 'flag', findings, index: host.index };
}

/** Of findings that overlap, in the order of the text, those that say something new: another category, or a graver one. */
function withoutOverlaps(findings: readonly Finding[]): Finding[] {
  const kept = new Map<string, Finding>();
  return findings.filter((finding) => {
    const before = kept.get(finding.category);
    if (before !== undefined && finding.start < before.end && (before.severity === 'high' || finding.severity !== 'high')) return false;
    kept.set(finding.category, finding);
    return true;
  });
}

/** Stretches that are judged together. Each chunk begins with the last of the one before, at least `EDGE` units: no seam is lost. */
function chunksOf(texts: readonly string[]): Stretch[][] {
  const chunks: Stretch[][] = [];
  let chunk: Stretch[] = [];
  let length = 0;
  const add = (index: number, from: number, text: string, begins: boolean): void => {
    chunk.push({ index, at: length, from, text, begins });
    length += text.length + 1;
  };
  texts.forEach((text, index) => {
    const isLast = index === texts.length - 1;
    if (text.length <= 2 * EDGE) add(index, 0, text, true);
    else {
      if (index > 0) add(index, 0, text.slice(0, EDGE), true);
      if (!isLast) add(index, text.length - EDGE, text.slice(-EDGE), index === 0);
    }
    if (length < SEAM_CHUNK || isLast) return;
    chunks.push(chunk);
    const done = chunk;
    let first = done.length;
    for (let units = 0; units < EDGE && first > 0; first--) units += 1 + (done[first - 1]?.text.length ?? 0);
    chunk = [];
    length = 0;
    for (const stretch of done.slice(first)) add(stretch.index, stretch.from, stretch.text, stretch.begins);
  });
  if (chunk.length > 1) chunks.push(chunk);
  return chunks;
}
