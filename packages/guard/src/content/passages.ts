import { Segmenter } from '../entities/segmenter.ts';
import { ANCHOR_SETS, ANY_ANCHOR, CONTENT_CLASSES } from './classes.ts';
import { rowsOf, type Words, wordsOf } from './features.ts';
import { type ContentModel, scoreOf, sumsOf } from './model.ts';

/** A sentence, or what the segmenter makes of the text, with its weights once they are needed. */
interface Passage {
  readonly start: number;
  readonly words: Words;
  sums: Int32Array | null;
  count: number;
}

/** Told that `[start, end)` has a score for a class. */
export type ScoreSink = (index: number, score: number, start: number, end: number) => void;

/**
 * Judges a growing text passage by passage, each alone and with the one before it. Which passages there are depends on nothing but the
 * text. Scores are those of passages that hold an anchor of the class.
 */
export class Passages {
  readonly #model: Pick<ContentModel, 'weights' | 'scale' | 'biases'>;
  readonly #segmenter = new Segmenter();
  #before: Passage | null = null;
  #marked: Passage | null = null;

  constructor(model: Pick<ContentModel, 'weights' | 'scale' | 'biases'>) {
    this.#model = model;
  }

  /** No passage that is still to be judged, with the one before it, starts before this offset. */
  get pending(): number {
    return this.#before?.start ?? this.#segmenter.pending;
  }

  push(text: string, sink: ScoreSink): void {
    this.#segmenter.push(text, (passage, start) => this.#judge(passage, start, sink));
  }

  end(sink: ScoreSink): void {
    this.#segmenter.end((passage, start) => this.#judge(passage, start, sink));
    this.#before = null;
  }

  reset(): void {
    this.#segmenter.reset();
    this.#before = null;
    this.#marked = null;
  }

  mark(): void {
    this.#segmenter.mark();
    this.#marked = this.#before;
  }

  rewind(): void {
    this.#segmenter.rewind();
    this.#before = this.#marked;
  }

  #judge(text: string, start: number, sink: ScoreSink): void {
    const passage: Passage = { start, words: wordsOf(text), sums: null, count: 0 };
    const before = this.#before;
    this.#before = passage;
    const set = passage.words.set | (before?.words.set ?? 0);
    if ((set & ANY_ANCHOR) === 0) return;
    const own = this.#weigh(passage);
    const earlier = before === null ? null : this.#weigh(before);
    for (let index = 0; index < CONTENT_CLASSES.length; index++) {
      const anchors = ANCHOR_SETS[index] ?? 0;
      if ((set & anchors) === 0) continue;
      const sum = own[index] ?? 0;
      if ((passage.words.set & anchors) !== 0) {
        sink(index, scoreOf(this.#model, index, sum, passage.count), start, start + text.length);
      }
      if (before !== null && earlier !== null) {
        const both = scoreOf(this.#model, index, sum + (earlier[index] ?? 0), passage.count + before.count);
        sink(index, both, before.start, start + text.length);
      }
    }
  }

  #weigh(passage: Passage): Int32Array {
    if (passage.sums !== null) return passage.sums;
    const rows = rowsOf(passage.words);
    passage.count = rows.length;
    passage.sums = sumsOf(this.#model, rows);
    return passage.sums;
  }
}
