import type { Provenance } from '@sallyport/core';
import type { JsonValue } from '../json/document.ts';
import { type Check, isObject } from './check.ts';
import type { Reading } from './reading.ts';

/**
 * Addresses every string in a value whose shape is the client's own: tool arguments, metadata, fields Sallyport does not know. Member
 * names are text too (`{"ignore all rules": 1}` reaches a template that prints the object), so they are addressed together, as one
 * text at the value's path. Depth is bounded by the scan of the body.
 */
export function anything(provenance: Provenance): Check {
  return (value, at) => {
    const names: string[] = [];
    walk(value, at, provenance, names, false);
    if (names.length > 0) at.addFixedText(names.join('\n'), provenance);
  };
}

/**
 * The same for what an upstream may act on in ways that are not known here: a URL in a field that is named like one (`webhook_url`,
 * `image_url`) counts as a place the upstream might turn to.
 */
export function anythingWithUrls(provenance: Provenance): Check {
  return (value, at) => {
    const names: string[] = [];
    walk(value, at, provenance, names, true);
    if (names.length > 0) at.addFixedText(names.join('\n'), provenance);
  };
}

const URL_NAME = /(?:^|_)ur[il]$/i;
const MEDIA_NAME = /image|audio|video|file/i;

function noteUrl(value: string, at: Reading): void {
  const name = at.path.findLast((step) => typeof step === 'string') ?? '';
  if (!URL_NAME.test(name) || !value.includes('://')) return;
  const media = MEDIA_NAME.exec(name)?.[0].toLowerCase();
  at.addReference(media === 'image' || media === 'audio' || media === 'video' || media === 'file' ? media : 'server', 'remote', value);
}

function walk(value: JsonValue, at: Reading, provenance: Provenance, names: string[], withUrls: boolean): void {
  if (typeof value === 'string') {
    at.addText(value, provenance);
    if (withUrls) noteUrl(value, at);
  } else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const item = value[index];
      // Numbers are most of what long arrays hold, and no text.
      if (item === undefined || typeof item === 'number') continue;
      at.path.push(index);
      walk(item, at, provenance, names, withUrls);
      at.path.pop();
    }
  } else if (isObject(value)) {
    for (const name in value) {
      names.push(name);
      at.path.push(name);
      walk(value[name] ?? null, at, provenance, names, withUrls);
      at.path.pop();
    }
  }
}

/** Words of JSON Schema (2020-12 and the drafts in use) and OpenAPI: as member names they say nothing of the client's. */
const KEYWORDS = new Set(
  (
    '$anchor $comment $defs $id $ref $schema $vocabulary additionalItems additionalProperties allOf anyOf const contains contentEncoding ' +
    'contentMediaType default definitions dependencies dependentRequired dependentSchemas deprecated description discriminator else enum ' +
    'example examples exclusiveMaximum exclusiveMinimum format if items maxContains maxItems maxLength maxProperties maximum minContains ' +
    'minItems minLength minProperties minimum multipleOf not nullable oneOf pattern patternProperties prefixItems properties propertyNames ' +
    'propertyOrdering readOnly required strict then title type unevaluatedItems unevaluatedProperties uniqueItems writeOnly'
  ).split(' '),
);
const TYPES = new Set(['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']);

/**
 * A JSON Schema. It is shown to the model, so every string in it is addressed (descriptions, enumerations, defaults, patterns); the
 * property names and the `required` lists that repeat them are joined into one text.
 */
export const schema: Check = (value, at) => {
  if (typeof value === 'boolean') return;
  if (!isObject(value)) return at.refuse('must be a JSON Schema (an object)');
  const names: string[] = [];
  walkSchema(value, at, names);
  if (names.length > 0) at.addFixedText(names.join('\n'), 'definition');
};

function walkSchema(value: JsonValue, at: Reading, names: string[]): void {
  if (typeof value === 'string') {
    const name = at.path.at(-1);
    if (name === 'type' && TYPES.has(value)) return;
    at.addText(value, 'definition');
  } else if (Array.isArray(value)) {
    const parent = at.path.at(-1);
    for (let index = 0; index < value.length; index += 1) {
      const item = value[index];
      if (item === undefined || typeof item === 'number') continue;
      if (typeof item === 'string' && parent === 'required') names.push(item);
      else if (typeof item === 'string' && parent === 'type' && TYPES.has(item)) continue;
      else {
        at.path.push(index);
        walkSchema(item, at, names);
        at.path.pop();
      }
    }
  } else if (isObject(value)) {
    for (const name in value) {
      if (!KEYWORDS.has(name)) names.push(name);
      at.path.push(name);
      walkSchema(value[name] ?? null, at, names);
      at.path.pop();
    }
  }
}
