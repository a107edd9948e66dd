/** Who calls whom in a Python module, by names: bodies of functions, what stands outside of them, and classes with what is derived from them. */

export interface Block {
  /** Of a function or a class; null for what runs only when the file is started as a program. */
  readonly name: string | null;
  readonly isClass: boolean;
  /** Where the body begins, behind the colon: defaults and annotations are evaluated by the definition. */
  readonly start: number;
  readonly end: number;
}

/** A function taken out of the module by its name. */
const BY_NAME = /\b(?:globals|locals|vars)\s*\(\s*\)\s*(?:\[[^\]\n]{0,200}\](?!\s*=(?!=))|\.\s*(?:get|pop|values)\b)/g;
/** Methods that run without being called by name. */
const IMPLICIT = /^__(?:init_subclass|set_name|prepare|class_getitem|del|getattr|dir|instancecheck|subclasscheck)__$/;
/** What a definition says without running anything: names of parameters, and of base classes. */
const PARAMETERS = /\bdef[ \t]+[\w\u0080-\uffff]+[ \t]*\((?:[\s*,/\w\u0080-\uffff]|=[ \t]*(?:None|True|False|\d+|"+)(?=\s*[,)]))*\)/g;
const BASES = /\bclass[ \t]+([\w\u0080-\uffff]+)[ \t]*\(([\s,.\w\u0080-\uffff]*)\)/g;
/** Bases that are computed. */
const COMPUTED_BASES = /\bclass[ \t]+([\w\u0080-\uffff]+)[ \t]*\((?=[\s,.\w\u0080-\uffff]*[^\s,.\w\u0080-\uffff)])/g;
const COMPUTED_KEYWORDS = /\bclass[ \t]+[\w\u0080-\uffff]+[ \t]*\([^)\n]{0,200}\*\*/g;
const NAME = /[\w\u0080-\uffff]+/g;
const ASSIGNED =
  /(?<![\w.\u0080-\uffff])([\w\u0080-\uffff]+)[ \t]*:?=(?!=)[ \t]*(?:\(?[ \t]*(?:[\w\u0080-\uffff]+[ \t]*\.[ \t]*)*([\w\u0080-\uffff]+)[ \t]*(?=[;)\n]|$))?/g;
const LOOPED = /\bfor[ \t]+([\w\u0080-\uffff]+(?:[ \t]*,[ \t]*[\w\u0080-\uffff]+)*)[ \t]+in\b/g;
/** A value that is called which is no name. */
const COMPUTED_CALL = /[\])}]\s*\(/g;
/** A table that is used where it is made. */
const TABLE = /\{[^{}\n]{0,200}\}\s*[[.]/g;
const GLOBAL = /\bglobal[ \t]+([\w\u0080-\uffff, \t]+)/g;
/** `@x.setter` and `property(get, set)` call neither of them. */
const ACCESSOR =
  /@[ \t]*[\w\u0080-\uffff]+\.(?:setter|getter|deleter)\b|\b(?:property|staticmethod|classmethod)[ \t]*\([\w\s,=.\u0080-\uffff]*\)/g;
const OWN_ACCESSOR =
  /\b(?:def|class|as|import)[ \t]+(?:property|staticmethod|classmethod)\b|\b(?:property|staticmethod|classmethod)[ \t]*=/;
const DECORATED = /^[ \t]*(?:@|(?:class|(?:async[ \t]+)?(def))[ \t]+([\w\u0080-\uffff]+))/gm;
/** Ways to a class that nobody names: `BY_NAME` is one more. */
const LOOKUP = /\b(?:modules|get_objects|get_referr\w+|__import__|import_module)\b|__(?:subclasses|dict|globals|main)__/;
/** Any class that is handed around: stands for what cannot be told. */
const ANY = '*';

interface Use {
  readonly offset: number;
  /** Functions around it, the innermost last. */
  readonly scopes: readonly Block[];
}

type Index = Map<string, Use[]>;

/** The names of a module. `code` is its text without strings and comments, `spend` is told of the steps taken and may throw. */
export class Names {
  readonly #code: string;
  readonly #functions: readonly Block[];
  readonly #classes: readonly Block[];
  readonly #spend: (units: number) => void;
  /** Where a name is called, or handed to what may call it. */
  readonly #calls: Index = new Map();
  /** Where something is taken out of it. */
  readonly #through: Index = new Map();
  /** Where an attribute of this name is taken of anything. */
  readonly #attributes: Index = new Map();
  /** Outside of functions. */
  readonly #mentioned: Set<string> = new Set();
  /** Classes that somebody is given without their name: a decorator, a base. */
  readonly #given: Set<string> = new Set();
  readonly #aliases: Map<string, Set<string>> = new Map();
  readonly #heirs: Map<string, Set<string>> = new Map();
  readonly #global: Set<string> = new Set();
  /** Whether the module calls what cannot be told, outside of functions. */
  #unknown: boolean = false;

  constructor(code: string, blocks: readonly Block[], spend: (units: number) => void) {
    this.#functions = blocks.filter(({ isClass }) => !isClass);
    this.#classes = blocks.filter(({ isClass }) => isClass);
    this.#spend = spend;
    // Lines that go on are one.
    const whole = code.replace(/\\ ?\n/g, (joint) => ' '.repeat(joint.length));
    const own = OWN_ACCESSOR.test(whole);
    const blanked = whole.replace(PARAMETERS, spaces).replace(BASES, spaces);
    this.#code = own ? blanked : blanked.replace(ACCESSOR, spaces);
    for (const [, names = ''] of whole.matchAll(GLOBAL)) for (const name of names.split(/[\s,]+/)) this.#global.add(name);
    const bound = this.#readAssignments();
    this.#readHeirs(whole, bound);
    this.#readUses(bound);
  }

  /** Whether the module calls one of these functions when it is imported, be it through others. */
  reach(harmful: ReadonlySet<Block>): boolean {
    const reached = new Set<Block>(harmful);
    const plain = new Set<string>();
    const classes = new Set<string>();
    let called = false;
    const enter = (uses: readonly Use[] | undefined): void => {
      for (const { scopes } of uses ?? []) {
        called ||= scopes.length === 0;
        this.#spend(scopes.length + 1);
        for (const scope of scopes) reached.add(scope);
      }
    };
    const call = (names: Set<string>, first: string): void => {
      const pending = [first];
      for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
        if (names.has(name)) continue;
        names.add(name);
        enter(this.#calls.get(name));
        if (names === classes) enter(this.#through.get(name));
        const handed = this.#mentioned.has(name) || (names === classes && this.#given.has(name));
        called ||= this.#unknown && handed;
        if (names === classes && handed) pending.push(ANY);
        const more = [...(this.#aliases.get(name) ?? []), ...(names === classes ? (this.#heirs.get(name) ?? []) : [])];
        this.#spend(more.length + 1);
        pending.push(...more);
      }
    };
    // A set gives what is added to it while it is walked.
    for (const each of reached) {
      this.#spend(this.#classes.length / 16 + 1);
      if (each.name === null) continue;
      const owners = this.#classes.filter(({ start, end }) => start <= each.start && each.start < end);
      const owner = owners.at(-1);
      if (IMPLICIT.test(each.name)) called = true;
      if (owner === undefined || this.#global.has(each.name)) call(plain, each.name);
      if (owner === undefined) continue;
      // A method is called by an object; by its name alone only in the body of its class, which runs with the definition.
      for (const { name } of owners) if (name !== null) call(classes, name);
      enter(this.#attributes.get(each.name)?.filter(({ scopes }) => scopes.length > 0));
      const depth = this.#depthOf(owner);
      for (const name of this.#namesOf(each.name))
        enter(
          this.#calls.get(name)?.filter(({ offset, scopes }) => owner.start <= offset && offset < owner.end && scopes.length === depth),
        );
    }
    return called || (reached.size > 0 && this.#takesByName());
  }

  /** This name and those that it is assigned to. */
  #namesOf(first: string): Set<string> {
    const all = new Set([first]);
    for (const name of all) for (const alias of this.#aliases.get(name) ?? []) all.add(alias);
    this.#spend(all.size);
    return all;
  }

  #depthOf(block: Block): number {
    return this.#functions.filter(({ start, end }) => start <= block.start && block.start < end).length;
  }

  #takesByName(): boolean {
    const offsets = [...this.#code.matchAll(BY_NAME)].map(({ index }) => index);
    return offsets.some((offset) => this.#isOutside(offset));
  }

  #isOutside(offset: number): boolean {
    this.#spend(this.#functions.length / 16 + 1);
    return !this.#functions.some(({ start, end }) => start <= offset && offset < end);
  }

  /** Notes which name is given to which; the names whose value cannot be told come back. */
  #readAssignments(): Set<string> {
    const bound = new Set<string>();
    for (const [, name = '', value] of this.#code.matchAll(ASSIGNED)) {
      this.#spend(1);
      if (value === undefined) bound.add(name);
      else add(this.#aliases, value, name);
    }
    for (const [, names = ''] of this.#code.matchAll(LOOPED)) for (const name of names.split(/[\s,]+/)) bound.add(name);
    return bound;
  }

  #readHeirs(code: string, bound: ReadonlySet<string>): void {
    for (const [, heir = '', bases = ''] of code.matchAll(BASES))
      for (const base of bases.split(/[\s,.]+/)) {
        this.#spend(1);
        if (base === '' || base === 'object') continue;
        add(this.#heirs, bound.has(base) ? ANY : base, heir);
        this.#given.add(heir);
      }
    const looksUp = LOOKUP.test(code);
    for (const { name } of this.#classes) if (name !== null && looksUp) this.#given.add(name);
    let decorated = false;
    for (const [, isFunction, name] of code.matchAll(DECORATED)) {
      if (decorated && name !== undefined && isFunction === undefined) this.#given.add(name);
      decorated = name === undefined;
    }
    for (const [, heir = ''] of code.matchAll(COMPUTED_BASES)) {
      add(this.#heirs, ANY, heir);
      this.#given.add(heir);
    }
    this.#unknown ||= [...code.matchAll(COMPUTED_KEYWORDS)].some(({ index }) => this.#isOutside(index));
  }

  #readUses(bound: ReadonlySet<string>): void {
    const code = this.#code;
    const tables = [...code.matchAll(TABLE)].map((match) => [match.index, match.index + match[0].length] as const);
    let table = 0;
    let next = 0;
    let scopes: readonly Block[] = [];
    const enter = (offset: number): void => {
      if (scopes.some(({ end }) => end <= offset)) scopes = scopes.filter(({ end }) => end > offset);
      for (let block = this.#functions[next]; block !== undefined && block.start <= offset; block = this.#functions[next]) {
        next += 1;
        if (block.end > offset) scopes = [...scopes, block];
      }
      this.#spend((scopes.length + 1) / 16);
    };
    for (const match of code.matchAll(NAME)) {
      const name = match[0];
      const offset = match.index;
      enter(offset);
      while ((tables[table]?.[1] ?? Number.POSITIVE_INFINITY) <= offset) table += 1;
      const { kind, called, defines } = context(code, offset, offset + name.length);
      if (defines) continue;
      const use = { offset, scopes };
      if (scopes.length === 0) {
        this.#mentioned.add(name);
        this.#unknown ||= called && bound.has(name);
      }
      if (kind.attribute) push(this.#attributes, name, use);
      if (kind.call || (tables[table]?.[0] ?? Number.POSITIVE_INFINITY) < offset) push(this.#calls, name, use);
      if (kind.through) push(this.#through, name, use);
    }
    this.#unknown ||= [...code.matchAll(COMPUTED_CALL)].some(({ index }) => this.#isOutside(index));
  }
}

/** What is done with the name at `[start, end)`. */
function context(
  code: string,
  start: number,
  end: number,
): { readonly kind: { call: boolean; through: boolean; attribute: boolean }; readonly called: boolean; readonly defines: boolean } {
  let left = start - 1;
  while (isSpace(code[left])) left -= 1;
  let right = end;
  while (isSpace(code[right])) right += 1;
  const before = code[left] ?? '';
  const behind = code[right] ?? '';
  const word = left < start - 1 ? (/[a-z]+$/.exec(code.slice(Math.max(0, left - 7), left + 1))?.[0] ?? '') : '';
  const called = behind === '(';
  const handed =
    ('(,='.includes(before) && before !== '' && (behind === ',' || behind === ')')) ||
    (before === '[' && (behind === ',' || behind === ']') && !/[\w\])]/.test(code[left - 1] ?? ''));
  const call =
    called || before === '@' || handed || word === 'in' || (behind === '.' && /^\.\s{0,9}__/.test(code.slice(right, right + 12)));
  return { kind: { call, through: behind === '.', attribute: before === '.' }, called, defines: word === 'def' || word === 'class' };
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\f';
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, new Set([value]));
  else known.add(value);
}

function push(index: Index, name: string, use: Use): void {
  const known = index.get(name);
  if (known === undefined) index.set(name, [use]);
  else known.push(use);
}
