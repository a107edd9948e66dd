import { isUtf8 } from 'node:buffer';
import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { inspectTemplate } from '../template/inspect.ts';
import { checkTarget, isDenied } from './imports.ts';
import { hasHarmfulLine, inspectPython, isHarmfulCode } from './python.ts';
import { beginsPython, hasStatement } from './python-text.ts';

/** But for tabs, line feeds, form feeds and returns. */
const CONTROL = /[\x00-\x08\x0b\x0e-\x1f]/;
const SAMPLE = 65_536;
const WINDOW = 4 * 2 ** 20;
const OVERLAP = 1024;
const TARGET = /^[ \t-]*["']?_target_["']?[ \t]*:[ \t]*["']?([\w.]+)["']?[ \t]*(?:#.*)?$/gm;
/** A tag of YAML: by the handle `!!`, or whole in brackets; either may write its letters as `%41` (YAML 1.1, 3.3.2 and 8.2). */
const TAG = /!(?:!((?:[\w./:-]|%[0-9a-f]{2})+)|<([^<>\s]{1,256})>)/gi;
const PYTHON_TAG = /^(?:tag:yaml\.org,2002:)?python\/(?:object|name|module)[\w/]*:([\w.]*)/;
/** Another handle for the tags of YAML itself. */
const TAG_HANDLE = /^%TAG[ \t]+(\S{1,64})[ \t]+(\S{1,256})/gm;
const YAML_TAGS = 'tag:yaml.org,2002:';
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
  piece.text ??= readsAsText(piece);
  return piece.text;
}

function readsAsText({ source }: Piece): boolean {
  if (source.size === 0) return false;
  const samples = [source.read(0, SAMPLE), source.size > SAMPLE ? source.read(source.size - SAMPLE, SAMPLE) : Buffer.alloc(0)];
  return samples.every((sample) => {
    if (CONTROL.test(sample.toString('latin1'))) return false;
    // A sample may cut a character at either end.
    return isUtf8(sample) || !sample.toString('utf8').slice(4, -4).includes('\ufffd');
  });
}

/** Plain text: YAML that instantiates, Python, a template, a script. Words in prose are words. */
export function scanText(piece: Piece): void {
  const { source } = piece;
  let begins: boolean | null = null;
  let python = false;
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const whole = source.read(base, WINDOW + OVERLAP).toString('utf8');
    const text = base === 0 ? whole.replace(/^\ufeff/, '') : whole;
    // Code may begin behind any length of comments, the last of which a window cuts, and what it does may stand at its end.
    begins ??= beginsPython(base === 0 ? text : text.slice(text.indexOf('\n') + 1));
    python ||= begins === true && (hasStatement(text) || hasHarmfulLine(text));
    python ||= source.size <= WINDOW && isHarmfulCode(text);
    if (python && base < piece.limits.document) inspectPython(piece, text, 'Python code', source.size <= WINDOW);
    else if (python) piece.report('limit-document', `Python code of ${source.size} bytes`);
    inspectText(piece, text, base, python);
  }
}

/** A text of ordinary length, or a window of a table of words; only what begins the file is a script or a template. */
function inspectText(piece: Piece, text: string, base: number, python: boolean): void {
  for (const pattern of [TARGET, FLOW_TARGET])
    for (const match of text.matchAll(pattern)) {
      piece.run.spend(COST.attempt);
      checkTarget(piece, match[1] ?? '', base + match.index);
    }
  for (const match of text.matchAll(TAG)) {
    piece.run.spend(COST.attempt);
    const object = PYTHON_TAG.exec(unescaped(match[1] ?? match[2] ?? ''));
    // Code that speaks of tags is no document, unless the tag does harm.
    if (object !== null && (!python || isDenied(object[1] ?? '')))
      piece.report('config-target', `YAML builds the Python object ${quote(object[1] ?? '')}`, base + match.index);
  }
  for (const match of text.matchAll(TAG_HANDLE)) {
    const prefix = unescaped(match[2] ?? '');
    if (match[1] === '!!' && prefix === YAML_TAGS) continue;
    if (`${YAML_TAGS}python/`.startsWith(prefix) || prefix.startsWith(`${YAML_TAGS}python/`))
      piece.report('config-target', 'YAML gives the tags of Python objects another name', base + match.index);
  }
  if (base > 0) return;
  if (SCRIPT.test(text)) piece.report('executable-script', `a script for ${quote(SCRIPT.exec(text)?.[1] ?? '')}`);
  // A tag of a template is no Python, whatever the rest reads as.
  if ((!python || TEMPLATE.test(text)) && BLOCK.test(text) && (TEMPLATE.test(text) || !PROSE.test(text)))
    inspectTemplate(piece, text, 'the template', 0, TEMPLATE.test(text) && CHAT.test(text));
}

function unescaped(tag: string): string {
  return tag.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
