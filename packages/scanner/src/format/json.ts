/** What is wrong with a JSON text. `at` is an offset in UTF-16 units. */
export class JsonError extends Error {
  override readonly name: string = 'JsonError';
  readonly kind: 'syntax' | 'duplicate' | 'depth' | 'size';
  readonly at: number;
  constructor(kind: JsonError['kind'], message: string, at: number) {
    super(message);
    this.kind = kind;
    this.at = at;
  }
}

/** A JSON value. Objects are maps: a key such as `__proto__` is a key like any other. */
export type Json = string | number | boolean | null | Json[] | JsonMap;
export type JsonMap = Map<string, Json>;

/** Levels of nesting; no real document has a tenth of it. */
export const JSON_DEPTH = 512;
/** Values of one document: a tree of them costs some hundred bytes each. */
const VALUES = 700_000;
/** What an object takes, in values. */
const MAP_COST = 3;
const PLAIN = /[^"\\]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;

export interface JsonOptions {
  /** Called for a key that stands twice in one object; by default that is an error. */
  readonly onDuplicate?: (key: string) => unknown;
  /** Accept NaN and Infinity, which Python writes (default false). */
  readonly lenient?: boolean;
}

/** Parses a JSON text (RFC 8259) that is hostile: duplicate keys and depth are errors, and no key has a meaning. Throws `JsonError`. */
export function parseJson(text: string, options: JsonOptions = {}): Json {
  const parser = new Parser(text, options);
  const value = parser.value(0);
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  readonly #options: JsonOptions;
  #at: number = 0;
  #count: number = 0;

  constructor(text: string, options: JsonOptions) {
    this.#text = text;
    this.#options = options;
  }

  #fail(message: string): never {
    throw new JsonError('syntax', message, this.#at);
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail('more text after the value');
  }

  value(depth: number): Json {
    this.#count += 1;
    if (this.#count > VALUES) throw new JsonError('size', `has more than ${VALUES} values`, this.#at);
    if (depth > JSON_DEPTH) throw new JsonError('depth', `nested deeper than ${JSON_DEPTH} levels`, this.#at);
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    if (this.#options.lenient === true) {
      for (const word of ['NaN', 'Infinity', '-Infinity']) {
        if (!this.#text.startsWith(word, this.#at)) continue;
        this.#at += word.length;
        return Number(word);
      }
    }
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text)?.[0];
    if (number === undefined) this.#fail('no value');
    this.#at += number.length;
    return Number(number);
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    let escaped = false;
    for (;;) {
      PLAIN.lastIndex = this.#at;
      this.#at += PLAIN.exec(this.#text)?.[0].length ?? 0;
      const mark = this.#text[this.#at];
      if (mark === undefined) this.#fail('a string has no end');
      this.#at += mark === '"' ? 1 : 2;
      if (mark === '"') break;
      escaped = true;
    }
    const raw = this.#text.slice(start + 1, this.#at - 1);
    if (!escaped) return raw;
    try {
      // The text between the quotes is one JSON string; control characters in it are let through, as Python's loader can.
      return JSON.parse(`"${raw.replace(/[\x00-\x1f]/g, ' ')}"`) as string;
    } catch {
      this.#fail('an invalid escape');
    }
  }

  #array(depth: number): Json[] {
    const items: Json[] = [];
    this.#at += 1;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at += 1;
      return items;
    }
    for (;;) {
      items.push(this.value(depth + 1));
      this.#space();
      const mark = this.#text[this.#at];
      this.#at += 1;
      if (mark === ']') return items;
      if (mark !== ',') this.#fail('an array without a comma');
    }
  }

  #object(depth: number): JsonMap {
    this.#count += MAP_COST;
    const entries: JsonMap = new Map();
    this.#at += 1;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at += 1;
      return entries;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('a key that is no string');
      const key = this.#string();
      if (entries.has(key)) {
        if (this.#options.onDuplicate === undefined) throw new JsonError('duplicate', `a key stands twice`, this.#at);
        this.#options.onDuplicate(key);
      }
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail('a key without a value');
      this.#at += 1;
      entries.set(key, this.value(depth + 1));
      this.#space();
      const mark = this.#text[this.#at];
      this.#at += 1;
      if (mark === '}') return entries;
      if (mark !== ',') this.#fail('an object without a comma');
    }
  }
}

/** The value under a path of keys, or undefined. */
export function at(value: Json | undefined, ...keys: readonly string[]): Json | undefined {
  let current = value;
  for (const key of keys) current = current instanceof Map ? current.get(key) : undefined;
  return current;
}

/** Every object in a document, outermost first. */
export function* objects(value: Json): Generator<JsonMap> {
  const stack: Json[] = [value];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next instanceof Map) {
      yield next;
      for (const child of next.values()) if (typeof child === 'object' && child !== null) stack.push(child);
    } else if (Array.isArray(next)) for (const child of next) if (typeof child === 'object' && child !== null) stack.push(child);
  }
}
