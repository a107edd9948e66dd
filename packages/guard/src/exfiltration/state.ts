import type { Holder } from './attributes.ts';
import type { Form, Syntax } from './destination.ts';

/** What is being read: `opening` is the white space before a destination, `escape` the unit after ESC, `control` a CSI sequence. */
export type Mode = 'text' | 'opening' | 'destination' | 'bare' | 'escape' | 'sequence' | 'control';
export type End = 'markdown' | 'angle' | 'double' | 'single' | 'unquoted' | 'round';

/** Marks of an open square bracket, two bits each. */
export const IMAGE = 1;
export const LINE_START = 2;

/** What is remembered of the text: plain values only, so that a moment can be kept by copying. */
export interface State {
  mode: Mode;
  /** Units read. */
  length: number;
  /** Where what is being read began: a destination, an address, a sequence, a tag's name. */
  start: number;
  form: Form;
  syntax: Syntax;
  holder: Holder | null;
  end: End;
  /** Round brackets open in a destination or address. */
  round: number;
  lineFeeds: number;
  /** Square brackets that are open, the newest in the lowest bits. */
  brackets: number;
  depth: number;
  /** Marks of the bracket that the unit before closed; -1 where it closed none. */
  closed: number;
  /** An image was opened in this paragraph and has no destination yet. */
  image: boolean;
  previous: number;
  escaped: boolean;
  /** Width of the white space at the start of the line; -1 once something else came. */
  indent: number;
  /** A block quote or list mark opened the line. */
  nested: boolean;
  blank: boolean;
  /** Length of the run of back-ticks or tildes under way, and what opened it. */
  run: number;
  runUnit: number;
  runIndent: number;
  /** The open fence; 0 where none is. In its first line (`info`) it is not certain yet. */
  fence: number;
  fenceLength: number;
  fenceIndent: number;
  info: boolean;
  /** A line of the fence that may close it: white space only since its run. */
  closing: boolean;
  /** In a block of HTML, where a fence is none. */
  html: boolean;
  /** Renderers may disagree on where code begins and ends: from here on nothing is taken for code. */
  distrust: boolean;
  /** Length of the run that opened a code span; 0 outside of one. */
  span: number;
  tag: string;
  naming: boolean;
  scheme: number;
}

export const LF = 10;
export const ESC = 27;

/** White space and control characters. */
export function isGap(unit: number): boolean {
  return unit <= 32 || unit === 127 || unit === 0xa0 || unit === 0x2028 || unit === 0x2029 || unit === 0x3000;
}

export function isLetter(unit: number): boolean {
  const lower = unit | 32;
  return lower >= 97 && lower <= 122;
}

export const START: State = {
  mode: 'text',
  length: 0,
  start: 0,
  form: 'link',
  syntax: 'plain',
  holder: null,
  end: 'markdown',
  round: 0,
  lineFeeds: 0,
  brackets: 0,
  depth: 0,
  closed: -1,
  image: false,
  previous: LF,
  escaped: false,
  indent: 0,
  nested: false,
  blank: true,
  run: 0,
  runUnit: 0,
  runIndent: -1,
  fence: 0,
  fenceLength: 0,
  fenceIndent: 0,
  info: false,
  closing: false,
  html: false,
  distrust: false,
  span: 0,
  tag: '',
  naming: false,
  scheme: 0,
};
