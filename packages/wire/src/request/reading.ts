import { type AddressedText, Fault, type Provenance } from '@sallyport/core';
import type { Reference, RequestLimits, RestrictedField } from '../endpoint.ts';
import { formatPath, type JsonPath } from '../json/path.ts';
import type { RestrictedRule } from './restricted.ts';

/** What is known of one request while its body is read: where the reader is, and what it has found so far. */
export class Reading {
  readonly limits: RequestLimits;
  /** Path of the value being read; checks push and pop as they go down and up. */
  readonly path: (string | number)[] = [];
  readonly texts: AddressedText[] = [];
  readonly references: Reference[] = [];
  readonly restricted: RestrictedField[] = [];

  constructor(limits: RequestLimits) {
    this.limits = limits;
  }

  /** Addresses the string at the current path. An empty one says nothing and is left out. */
  addText(text: string, provenance: Provenance): void {
    if (text !== '') this.texts.push(new RequestText(this.path.slice(), provenance, text));
  }

  /** Addresses text that is found at the current path but is not the value itself. */
  addFixedText(text: string, provenance: Provenance): void {
    if (text !== '') this.texts.push(new FixedText(this.path.slice(), provenance, text));
  }

  addReference(kind: Reference['kind'], source: Reference['source'], url: string | null): void {
    this.references.push({ address: formatPath(this.path), kind, source, url });
  }

  restrict(rule: RestrictedRule): void {
    this.restricted.push({ address: formatPath(this.path), action: rule.action, reason: rule.reason });
  }

  /** Throws `Fault('invalid_request')` naming the current path: `messages[2].content must be a string.` */
  refuse(expectation: string): never {
    const param = formatPath(this.path);
    throw new Fault('invalid_request', `${param === '' ? 'The request body' : param} ${expectation}.`, param === '' ? {} : { param });
  }

  refuseTooLarge(expectation: string): never {
    const param = formatPath(this.path);
    throw new Fault('request_too_large', `${param} ${expectation}.`, { param });
  }
}

/** The address is spelled out only when somebody asks for it: most texts are found harmless and never named. */
class RequestText implements AddressedText {
  readonly path: JsonPath;
  readonly provenance: Provenance;
  readonly text: string;

  constructor(path: JsonPath, provenance: Provenance, text: string) {
    this.path = path;
    this.provenance = provenance;
    this.text = text;
  }

  get address(): string {
    return formatPath(this.path);
  }
}

class FixedText extends RequestText {
  readonly fixed = true;
}
