import { hash } from 'node:crypto';
import { PASS, type Verdict } from '@sallyport/core';
import type { Guard, TextContext, TextWindow } from '@sallyport/guard';

/** Texts remembered in one generation; at most two are kept. */
const GENERATION = 8_192;

/**
 * A guard that remembers which whole texts passed. A conversation is sent again with every turn, a system prompt and the descriptions of
 * tools with every request: what was judged a moment ago by the same guard, in the same place, is judged the same; to look even a
 * short one up takes less than to judge it. Only `pass` is remembered, under the SHA-256 of the text and its context, so that no text stays in
 * memory and nothing a text could contain confuses two contexts; and for each tenant apart, as the time an answer takes would tell one what
 * another has said. It lives and dies with its settings: others begin without memory.
 */
export class RememberingGuard implements Guard {
  readonly #guard: Guard;
  #young = new Set<string>();
  #old = new Set<string>();

  get tokenises(): boolean {
    return this.#guard.tokenises;
  }

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  inspect(text: string, context: TextContext): Verdict {
    // What passes without an allowance passes with it; the reverse must not be remembered, for the allowance is a tenant's and ends.
    if (context.allowed !== undefined) {
      const { allowed: _allowed, ...strict } = context;
      return this.inspect(text, strict).effect === 'pass' ? PASS : this.#guard.inspect(text, context);
    }
    // A reply is judged beside what it answers, which the memory does not know, and may hold a placeholder of its exchange.
    const isAlone = context.exchange === undefined && (context.stage !== 'output' || context.placeholders?.restores !== true);
    if (!isAlone) return this.#guard.inspect(text, context);
    // A lone surrogate and U+FFFD encode alike; a text that holds one is judged each time.
    if (!text.isWellFormed()) return this.#guard.inspect(text, context);
    const name = `${hash('sha256', text, 'base64')}/${context.stage}/${context.provenance}/${context.kind ?? ''}/${context.tenant ?? ''}`;
    if (this.#young.has(name)) return PASS;
    const passed = this.#old.has(name);
    const verdict = passed ? PASS : this.#guard.inspect(text, context);
    if (verdict.effect === 'pass') this.#remember(name);
    return verdict;
  }

  open(context: TextContext): TextWindow {
    return this.#guard.open(context);
  }

  #remember(name: string): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(name);
  }
}
