import type { LinkSettings, Severity } from '@sallyport/core';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import { trailingFrom } from '../detect/trailing.ts';
import type { Exchange } from '../exchange.ts';
import type { TextContext } from '../guard.ts';
import type { Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import { candidates, cssAddresses, type Form, resolve } from './destination.ts';
import { carriedByClick, carriedUnasked, parameters, RESTORED, segments } from './payload.ts';
import { type Found, Reader } from './reader.ts';
import { Context } from './taint.ts';

/**
 * Ways out of a reply: addresses in Markdown, HTML and CSS that carry data to somebody else's server when they are shown or followed,
 * script and data addresses, and escape sequences of terminals. The reply is attacker's data wherever a document could speak to the model.
 */
export class ExfiltrationDetector implements Detector {
  readonly #action: Action;
  readonly #hosts: ReadonlySet<string>;
  readonly #suffixes: readonly string[];
  readonly #only: boolean;
  /** One a reply: its windows share what was indexed. */
  readonly #contexts = new WeakMap<Exchange, Context>();

  constructor(action: Action, { hosts, only }: LinkSettings) {
    this.#action = action;
    this.#only = only;
    const names = hosts.map((host) => host.toLowerCase());
    this.#hosts = new Set(names.filter((host) => !host.startsWith('*.')));
    this.#suffixes = names.filter((host) => host.startsWith('*.')).map((host) => host.slice(1));
  }

  open(tape: Tape, { exchange }: TextContext): Scanner {
    return new ExfiltrationScanner(tape, this.#action, exchange ?? null, (found, text, of) => this.#judge(found, text, of));
  }

  /** What is wrong with a place at which an address stands, or null. */
  #judge({ form, syntax, holder }: Found, text: string, exchange: Exchange | null): Judgement | null {
    if (form === 'escape') return { category: /^(?:\u001b\]|\u009d)8;/.test(text) ? 'terminal-link' : 'terminal-escape', severity: 'high' };
    switch (holder) {
      case 'srcset':
        return first(candidates(text), (address) => this.#judgeAddress(address, form, 'html', exchange));
      case 'style':
        return first(cssAddresses(text), (address) => this.#judgeAddress(address, form, 'css', exchange));
      case 'refresh': {
        const address = /^[\s\d.]*[;,]\s*(?:url\s*=\s*)?["']?([^"']+)/i.exec(text)?.[1];
        return address === undefined ? null : this.#judgeAddress(address.trim(), form, 'html', exchange);
      }
      case 'document':
        return first(text.match(/(?:https?:|wss?:|ftp:)?[/\\]{2}[^\s"'`<>)]+/gi) ?? [], (address) =>
          this.#judgeAddress(address, form, 'html', exchange),
        );
      case null:
        return this.#judgeAddress(text, form, syntax, exchange);
    }
  }

  #judgeAddress(text: string, form: Form, syntax: Found['syntax'], exchange: Exchange | null): Judgement | null {
    const url = resolve(text, syntax);
    // It may be an address only once a value stands in it: `[EMAIL_1].example` is no host, `ada@corp.io.example` is.
    if (url === null) return isFilledIn(text, form) ? { category: `${NAME[form]}-with-query`, severity: 'high' } : null;
    switch (url.protocol) {
      case 'javascript:':
      case 'vbscript:':
        return { category: 'script-address', severity: 'high' };
      case 'data:':
        // A picture in the address itself goes nowhere; what is a page or may hold scripts does.
        return /^data:image\/(?:png|gif|jpe?g|webp|avif|bmp)[;,]/i.test(url.href) ? null : { category: 'data-address', severity: 'high' };
      case 'http:':
      case 'https:':
      case 'ftp:':
      case 'ws:':
      case 'wss:':
      case 'file:':
        return url.hostname === '' ? null : this.#judgeHost(url, text, form, exchange);
      case 'mailto:':
        return carriedByClick(url) === null ? null : { category: 'mail-with-data', severity: 'medium' };
      default:
        return null;
    }
  }

  #judgeHost(url: URL, text: string, form: Form, exchange: Exchange | null): Judgement | null {
    const { hostname } = url;
    if (this.#hosts.has(hostname) || this.#suffixes.some((suffix) => hostname.endsWith(suffix))) return null;
    const context = exchange === null ? null : this.#context(exchange);
    if (context?.has(text) === true) return null;
    const known = context?.names(hostname) === true;
    if (this.#only && form !== 'code' && !known) return { category: `${NAME[form]}-to-other-host`, severity: 'medium' };
    if (context !== null && !known && context.isIn(carriers(url, form)))
      return { category: `${NAME[form]}-with-context`, severity: 'critical' };
    if (form === 'code' || known) return null;
    if (form === 'active') return { category: 'active-content', severity: 'high' };
    if (isFilledIn(text, form)) return { category: `${NAME[form]}-with-query`, severity: 'high' };
    const carried = form === 'image' ? carriedUnasked(url) : carriedByClick(url);
    return carried === null ? null : { category: `${NAME[form]}-with-${carried}`, severity: form === 'image' ? 'high' : 'medium' };
  }

  #context(exchange: Exchange): Context {
    const context = this.#contexts.get(exchange) ?? new Context(exchange);
    this.#contexts.set(exchange, context);
    return context;
  }
}

const NAME: Readonly<Record<Form, string>> = { image: 'image', active: 'active-content', link: 'link', bare: 'link', code: 'code' };

interface Judgement {
  readonly category: string;
  readonly severity: Severity;
}

type Judge = (found: Found, text: string, exchange: Exchange | null) => Judgement | null;

function first<T>(items: readonly T[], judge: (item: T) => Judgement | null): Judgement | null {
  for (const item of items) {
    const judgement = judge(item);
    if (judgement !== null) return judgement;
  }
  return null;
}

/** In running text and in code the restorer sees the same address as whoever follows it, and lets it be. */
function isFilledIn(text: string, form: Form): boolean {
  return form !== 'bare' && form !== 'code' && RESTORED.test(text);
}

/** The parts of an address that could hold what is not its own. The words of a path are, where it has to be clicked on: titles are. */
function carriers(url: URL, form: Form): string[] {
  const values = parameters(url).flat();
  values.push(url.hash.slice(1), url.username, url.password, ...url.hostname.split('.'));
  if (form === 'image' || form === 'active') values.push(...segments(url), segments(url).join(''));
  return values;
}

class ExfiltrationScanner implements Scanner {
  readonly #reader: Reader;
  readonly #tape: Tape;
  readonly #action: Action;
  readonly #judge: Judge;
  #exchange: Exchange | null;

  constructor(tape: Tape, action: Action, exchange: Exchange | null, judge: Judge) {
    this.#tape = tape;
    this.#action = action;
    this.#exchange = exchange;
    this.#judge = judge;
    this.#reader = new Reader(tape);
  }

  get pending(): number {
    return this.#reader.pending;
  }

  push(piece: Piece, hits: Hit[]): void {
    this.#reader.read(piece, (found) => this.#report(found, hits));
  }

  end(hits: Hit[]): void {
    this.#reader.end((found) => this.#report(found, hits));
  }

  reset({ exchange }: TextContext): void {
    this.#reader.reset();
    this.#exchange = exchange ?? null;
  }

  mark(): void {
    this.#reader.mark();
  }

  rewind(): void {
    this.#reader.rewind();
  }

  #report(found: Found, hits: Hit[]): void {
    const whole = this.#tape.slice(found.start, found.end);
    const isBare = found.form === 'bare' || found.form === 'code';
    // A full stop after an address is the sentence's.
    const text = isBare ? whole.slice(0, trailingFrom(whole, '.,;:!?*_~)}')) : whole;
    const judgement = this.#judge(found, text, this.#exchange);
    if (judgement === null) return;
    const { start, at } = found;
    const replacement = found.form === 'escape' ? '' : isBare ? '[LINK]' : 'about:blank';
    hits.push({ start, end: start + text.length, at, detector: 'exfiltration', ...judgement, action: this.#action, replacement });
  }
}
