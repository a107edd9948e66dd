import type { Finding, ReplyContract, Severity } from '@sallyport/core';
import type { GuardConfigIssue } from '../error.ts';
import { compileJson, type JsonContract, type JsonReading } from './json-reply.ts';
import { LanguageContract, languageProblem } from './language.ts';

/** What a finding of a contract is called. */
export type Breach = 'not-json' | 'schema' | 'duplicate-key' | 'language' | 'too-long' | 'too-short';

/** How a whole reply stands to its contract. `repaired` is a text that holds to it, where one could be made safely. */
export interface ContractReading {
  readonly breach: Breach | null;
  readonly repaired: string | null;
}

const KEPT: ContractReading = { breach: null, repaired: null };

/** A compiled contract: what a reply has to be. */
export class Contract {
  readonly settings: ReplyContract;
  readonly #json: JsonContract | null;
  readonly #language: LanguageContract | null;

  /** Whether it is a request's: its reply is JSON unless it calls a tool. */
  readonly isRequested: boolean;

  constructor(settings: ReplyContract, json: JsonContract | null, isRequested = false) {
    this.settings = settings;
    this.isRequested = isRequested;
    this.#json = json;
    this.#language = settings.languages.length === 0 ? null : new LanguageContract(settings.languages);
  }

  /** Whether a reply can only be judged, and must be held back, as a whole. */
  get needsWhole(): boolean {
    const { minLength, onBreach } = this.settings;
    return this.#json !== null || (onBreach === 'refuse' && (this.#language !== null || minLength > 0));
  }

  /** Reads a whole reply. Its length is not cut here unless it may be JSON, which cannot be cut: that is done as it grows. */
  read(text: string, callsTools: boolean): ContractReading {
    const { minLength, maxLength, repair } = this.settings;
    // What is said beside a call is no answer.
    if (callsTools && this.isRequested) {
      if (maxLength === null || text.length <= maxLength) return KEPT;
      return { breach: 'too-long', repaired: repair ? text.slice(0, maxLength).toWellFormed() : null };
    }
    let shown = text;
    let breach: Breach | null = null;
    if (this.#json !== null) {
      const json: JsonReading = this.#json.read(text, repair);
      if (json.breach !== null) return json;
      if (json.repaired !== null) [shown, breach] = [json.repaired, 'not-json'];
      if (maxLength !== null && shown.length > maxLength) return { breach: 'too-long', repaired: null };
    }
    if (shown.length < minLength) return { breach: 'too-short', repaired: null };
    if (this.#language?.isForeign(shown) === true) return { breach: 'language', repaired: null };
    return breach === null ? KEPT : { breach, repaired: shown };
  }
}

const SEVERITY: Severity = 'medium';

/** Where a reply breaks its contract: all of it, or the first unit too many. */
export function breachFinding(category: Breach, start: number, end: number): Finding {
  return { detector: 'contract', category, severity: SEVERITY, start, end };
}

/** Compiles a contract, or adds what is wrong with it to `issues`. */
export function compileContract(settings: ReplyContract, issues: GuardConfigIssue[]): Contract | null {
  const before = issues.length;
  const { languages, minLength, maxLength, schema } = settings;
  languages.forEach((language, index) => {
    const problem = languageProblem(language);
    if (problem !== null) issues.push({ path: `guards.contract.languages[${index}]`, expected: problem, got: JSON.stringify(language) });
  });
  if (maxLength !== null && maxLength < minLength) {
    issues.push({ path: 'guards.contract.maxLength', expected: `at least minLength, ${minLength}`, got: String(maxLength) });
  }
  if ((schema !== null || settings.requested === true) && languages.length > 0) {
    issues.push({ path: 'guards.contract.languages', expected: 'no schema or requested beside it: JSON has no language', got: 'both' });
  }
  const json = schema === null ? null : compileJson(schema, issues);
  // What reads schemas takes two tenths of a second to load: not within the first request that has one.
  if (settings.requested === true) compileJson({}, issues);
  return issues.length > before ? null : new Contract(settings, json);
}
