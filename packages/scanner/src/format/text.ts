import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { inspectTemplate } from '../template/inspect.ts';
import { checkTarget } from './imports.ts';
import { inspectPython, isPython } from './python.ts';

const SAMPLE = 65_536;
const WINDOW = 4 * 2 ** 20;
const OVERLAP = 1024;
const TARGET = /^[ \t-]*["']?_target_["']?[ \t]*:[ \t]*["']?([\w.]+)["']?[ \t]*(?:#.*)?$/gm;
const PYTHON_TAG = /!!python\/(?:object|name|module)[\w/]*:\s*([\w.]*)/g;
const FLOW_TARGET = /[{,]\s*["']?_target_["']?\s*:\s*["']?([\w.]+)/g;
/** A text that is a template, not one that speaks of templates or writes BibTeX. */
const TEMPLATE = /^\s*(?:\{[%#{]|<[^>]{0,40}>\s*\{[%{])/;
const BLOCK = /\{%[-+]?\s*(?:for|if|set|macro|include|import|extends)\b|\{\{/;
/** What a loader hands to a chat template; templates of pages and of source code name none of it. */
const CHAT = /\b(?:messages|bos_token|eos_token|add_generation_prompt)\b/;
/** A page: front matter, headings, fenced code. What it says about templates is no template. */
const PROSE = /^(?:---\r?\n|#{1,6} |```)/m;
const SCRIPT = /^#![^\n]*\b(sh|bash|zsh|dash|perl|ruby|node|php|pwsh)\b/;

/** Valid UTF-8 (or ASCII) without control characters, as far as a sample from each end shows. */
export function isText(piece: Piece): boolean {
  const { source } = piece;
  if (source.size === 0) return false;
  const samples = [source.read(0, SAMPLE), source.size > SAMPLE ? source.read(source.size - SAMPLE, SAMPLE) : Buffer.alloc(0)];
  return samples.every((sample) => {
    for (const byte of sample) if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13 && byte !== 12) return false;
    // A sample may cut a character at either end.
    return !sample.toString('utf8').slice(4, -4).includes('\ufffd');
  });
}

/** Plain text: YAML that instantiates, Python, a template, a script. Words in prose are words. */
export function scanText(piece: Piece): void {
  const { source } = piece;
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    inspectText(piece, source.read(base, WINDOW + OVERLAP).toString('utf8'), base);
  }
}

/** A text of ordinary length, or a window of a table of words; only what begins the file is code, a script or a template. */
function inspectText(piece: Piece, text: string, base: number): void {
  for (const pattern of [TARGET, FLOW_TARGET])
    for (const match of text.matchAll(pattern)) checkTarget(piece, match[1] ?? '', base + match.index);
  for (const match of text.matchAll(PYTHON_TAG))
    piece.report('config-target', `YAML builds the Python object ${quote(match[1] ?? '')}`, base + match.index);
  if (base > 0) return;
  if (SCRIPT.test(text)) piece.report('executable-script', `a script for ${quote(SCRIPT.exec(text)?.[1] ?? '')}`);
  if (isPython(text)) inspectPython(piece, text);
  else if (BLOCK.test(text) && (TEMPLATE.test(text) || !PROSE.test(text)))
    inspectTemplate(piece, text, 'the template', 0, TEMPLATE.test(text) && CHAT.test(text));
}
