import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '@sallyport/core';
import { DEFAULT_REQUEST_LIMITS, type JsonObject, type JsonValue, parseJson } from '@sallyport/wire';
import fc from 'fast-check';

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);
/** Names and texts with every kind of character that the scan cares for, but nothing that it refuses. */
const text = fc
  .string({
    unit: fc.oneof(
      { weight: 4, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
      fc.constantFrom('"', '\\', '\n', '\t', '{', '}', '[', ',', ':', 'é', '😀'),
    ),
  })
  .filter((value) => !FORBIDDEN.has(value) && !/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(value));
const value = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 6 }),
    tie('object'),
  ),
  object: fc.dictionary(text, tie('value'), { maxKeys: 14, noNullPrototype: true }),
}));
const object = value.object;
const spacing = fc.constantFrom(undefined, 1, 2, '\t');

/** The same document with some characters written as escapes: another text, the same value. */
function escapeSome(json: string, every: number): string {
  let count = 0;
  return json.replace(/[^\s{}[\],:"\\\dnull.truefasE+-]/gu, (character) => {
    count += 1;
    if (count % every !== 0) return character;
    return [...Array(character.length).keys()].map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`).join('');
  });
}

function paths(node: JsonValue, path: (string | number)[] = []): (string | number)[][] {
  const found = [path];
  if (Array.isArray(node)) for (const [index, item] of node.entries()) found.push(...paths(item, [...path, index]));
  else if (typeof node === 'object' && node !== null)
    for (const [name, item] of Object.entries(node)) found.push(...paths(item, [...path, name]));
  return found;
}

function get(node: JsonValue | undefined, path: readonly (string | number)[]): JsonValue | undefined {
  for (const step of path) {
    if (Array.isArray(node) && typeof step === 'number') node = node[step];
    else if (typeof node === 'object' && node !== null && !Array.isArray(node)) node = node[String(step)];
  }
  return node;
}

describe('parseJson, on random input', () => {
  it('agrees with JSON.parse on valid documents, however they are escaped and spaced', () => {
    fc.assert(
      fc.property(object, spacing, fc.integer({ min: 1, max: 5 }), (source, space, every) => {
        const json = escapeSome(JSON.stringify(source, null, space), every);
        assert.deepEqual(parseJson(Buffer.from(json), DEFAULT_REQUEST_LIMITS).value, JSON.parse(json));
      }),
      { numRuns: 400 },
    );
  });

  it('never accepts what JSON.parse does not, and throws nothing but Fault', () => {
    const broken = fc.tuple(object, fc.nat(), fc.uint8Array({ maxLength: 3 }), fc.nat({ max: 3 })).map(([source, where, bytes, cut]) => {
      const json = Buffer.from(JSON.stringify(source));
      const at = where % (json.length + 1);
      return Buffer.concat([json.subarray(0, at), bytes, json.subarray(at + cut)]);
    });
    const soup = fc
      .string({ unit: fc.constantFrom(...'{}[]:,"\\ubf/nte0d8-+.eE1 \t\n'), maxLength: 60 })
      .map((text) => Buffer.from(`{"a":${text}`));
    fc.assert(
      fc.property(
        fc.oneof(
          broken,
          soup,
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          try {
            assert.deepEqual(parseJson(bytes, DEFAULT_REQUEST_LIMITS).value, JSON.parse(bytes.toString()));
          } catch (error) {
            assert.ok(error instanceof Fault, `${error}`);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('refuses every duplicate name, wherever it is and however it is escaped', () => {
    fc.assert(
      fc.property(
        fc.dictionary(text, fc.constant(1), { minKeys: 1, maxKeys: 30, noNullPrototype: true }),
        fc.nat(),
        fc.boolean(),
        (source, which, escaped) => {
          const names = Object.keys(source);
          const name = names[which % names.length] ?? '';
          const written = escaped
            ? `"${[...Array(name.length).keys()].map((index) => `\\u${name.charCodeAt(index).toString(16).padStart(4, '0')}`).join('')}"`
            : JSON.stringify(name);
          // A line feed and its kind are allowed as escapes; nothing else in `text` is below U+0020.
          const json = `{"outer":[${JSON.stringify(source).slice(0, -1)},${written}:2}]}`;
          assert.throws(
            () => parseJson(Buffer.from(json), DEFAULT_REQUEST_LIMITS),
            (error) => error instanceof Fault && /twice/.test(error.message),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives the span of every value', () => {
    fc.assert(
      fc.property(object, spacing, fc.integer({ min: 1, max: 9 }), (source, space, every) => {
        const document = parseJson(Buffer.from(escapeSome(JSON.stringify(source, null, space), every)), DEFAULT_REQUEST_LIMITS);
        for (const path of paths(document.value)) {
          const span = document.span(path);
          assert.ok(span !== null);
          assert.deepEqual(JSON.parse(document.bytes.subarray(...span).toString()), get(document.value, path));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('edits as if it parsed, changed and kept every other byte', () => {
    fc.assert(
      fc.property(object, spacing, fc.array(fc.tuple(fc.nat(), value.value), { maxLength: 4 }), (source, space, picks) => {
        const json = JSON.stringify(source, null, space);
        const document = parseJson(Buffer.from(json), DEFAULT_REQUEST_LIMITS);
        const all = paths(document.value);
        const edits: { path: (string | number)[]; value: JsonValue }[] = [];
        for (const [which, replacement] of picks) {
          const path = all[which % all.length] ?? [];
          const overlaps = edits.some(
            (other) => other.path.every((step, index) => step === path[index]) || path.every((step, index) => step === other.path[index]),
          );
          if (!overlaps) edits.push({ path, value: replacement });
        }
        const edited = document.edit(edits);
        const expected: { root: JsonValue } = { root: structuredClone(document.value) };
        let unchanged = document.bytes.length;
        for (const edit of edits) {
          const parent = get(expected.root, edit.path.slice(0, -1));
          const last = edit.path.at(-1);
          if (last === undefined) expected.root = edit.value;
          else if (Array.isArray(parent)) parent[Number(last)] = edit.value;
          else if (typeof parent === 'object' && parent !== null) parent[String(last)] = edit.value;
          const span = document.span(edit.path);
          if (span !== null) unchanged -= span[1] - span[0];
        }
        assert.deepEqual(JSON.parse(edited.toString()), JSON.parse(JSON.stringify(expected.root)));
        const written = edits.reduce((length, edit) => length + Buffer.byteLength(JSON.stringify(edit.value)), 0);
        assert.equal(edited.length, unchanged + written);
      }),
      { numRuns: 300 },
    );
  });
});
