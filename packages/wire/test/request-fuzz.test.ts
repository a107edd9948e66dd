import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '@sallyport/core';
import { DEFAULT_REQUEST_LIMITS, ENDPOINTS, formatPath, type JsonValue, type ParsedRequest } from '@sallyport/wire';
import fc from 'fast-check';
import { readVectors } from './request-vectors.ts';

type Path = readonly (string | number)[];

/** Every accepted body of the vectors: together they use every known field. */
const bodies = readVectors().flatMap(({ endpoint, accept }) => accept.map(({ name, body }) => ({ endpoint, name, body })));

/** The request, or null where it was refused; anything but a Fault is a defect. */
function parse(endpoint: string, bytes: Buffer): ParsedRequest | null {
  const parser = ENDPOINTS.find((row) => row.id === endpoint)?.parse;
  assert.ok(parser);
  try {
    return parser(bytes, DEFAULT_REQUEST_LIMITS);
  } catch (error) {
    assert.ok(error instanceof Fault, `${error instanceof Error ? error.stack : error}`);
    return null;
  }
}

function replaceAt(node: JsonValue, path: Path, value: JsonValue): JsonValue {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const copy = structuredClone(node);
  if (Array.isArray(copy) && typeof step === 'number') copy[step] = replaceAt(copy[step] ?? null, rest, value);
  else if (typeof copy === 'object' && copy !== null && !Array.isArray(copy))
    copy[String(step)] = replaceAt(copy[String(step)] ?? null, rest, value);
  return copy;
}

function walk(node: JsonValue, visit: (path: Path, value: JsonValue) => void, path: Path = []): void {
  visit(path, node);
  if (Array.isArray(node)) for (const [index, item] of node.entries()) walk(item, visit, [...path, index]);
  else if (typeof node === 'object' && node !== null) for (const [name, item] of Object.entries(node)) walk(item, visit, [...path, name]);
}

/** Whether a text that stands somewhere in the request is known to whoever judges it. */
function isSeen(request: ParsedRequest, marker: string): boolean {
  return (
    request.texts.some((text) => text.text.includes(marker)) ||
    request.references.some((reference) => reference.url?.includes(marker) === true) ||
    request.model.includes(marker) ||
    request.otherModels?.some((model) => model.includes(marker)) === true
  );
}

/** Places that hold base64: a marker there is data to be decoded, not text, and the reference stands for it. */
function isInlineData(request: ParsedRequest, path: Path): boolean {
  return request.references.some((reference) => reference.source === 'inline' && reference.address === formatPath(path));
}

/** Tells a name apart: a name that is itself a keyword or a closed word of the API says nothing of the client's. */
const MARKERS = [
  'Zq7xmarker',
  'Zq7x marker, with spaces',
  'https://zq7x.example/marker',
  'data:text/plain;base64,Zq7xmarker',
  'Zq7x-😀-é-"quoted"\n',
];

describe('every string that is accepted is seen', () => {
  for (const { endpoint, name, body } of bodies) {
    it(`${endpoint}: ${name}`, () => {
      let planted = 0;
      walk(body, (path, value) => {
        const places: [Path, (marker: string) => JsonValue][] = [[path, (marker) => marker]];
        if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
          places.push(
            [path, (marker) => ({ ...value, extra_field: marker })],
            [path, (marker) => ({ ...value, extra_field: [{ [marker]: 1 }] })],
          );
        }
        for (const [place, plant] of places) {
          for (const marker of MARKERS) {
            const request = parse(endpoint, Buffer.from(JSON.stringify(replaceAt(body, place, plant(marker)))));
            if (request === null || isInlineData(request, place)) continue;
            planted += 1;
            assert.ok(isSeen(request, marker), `${formatPath(place)} hides ${JSON.stringify(plant(marker))}`);
          }
        }
      });
      assert.ok(planted > 0);
    });
  }

  it('whatever an unknown field holds, wherever it stands', () => {
    const safe = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text));
    const json = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        safe.map((text) => `Zq7x${text}`),
        fc.integer(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(
          safe.map((text) => `Zq7x${text}`),
          tie('value'),
          { maxKeys: 4, noNullPrototype: true },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.nat(), json, ({ endpoint, body }, where, extra) => {
        const objects: Path[] = [];
        walk(body, (path, value) => {
          if (typeof value === 'object' && value !== null && !Array.isArray(value)) objects.push(path);
        });
        const path = objects[where % objects.length];
        if (path === undefined) return;
        const request = parse(endpoint, Buffer.from(JSON.stringify(replaceAt(body, [...path, 'extra_field'], extra))));
        if (request === null) return;
        walk(extra, (_path, value) => {
          const texts =
            typeof value === 'string'
              ? [value]
              : typeof value === 'object' && value !== null && !Array.isArray(value)
                ? Object.keys(value)
                : [];
          for (const text of texts) assert.ok(isSeen(request, text), `${formatPath(path)} hides ${JSON.stringify(text)}`);
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('hostile bodies', () => {
  it('cause nothing but Fault: values of the wrong kind anywhere', () => {
    const strange = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>,
      fc.constantFrom<JsonValue>(
        null,
        true,
        false,
        0,
        -1,
        1e308,
        '',
        'x',
        [],
        {},
        [[]],
        [{}],
        [null],
        [1],
        { type: 'text' },
        { type: null },
        { type: 5 },
        { role: 'user' },
        { toString: 1 },
        { valueOf: 1, length: 3 },
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.nat(), strange, ({ endpoint, body }, where, value) => {
        const paths: Path[] = [];
        walk(body, (path) => paths.push(path));
        parse(endpoint, Buffer.from(JSON.stringify(replaceAt(body, paths[where % paths.length] ?? [], value))));
      }),
      { numRuns: 4000 },
    );
  });

  it('cause nothing but Fault: bytes changed, cut and added', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...bodies),
        fc.nat(),
        fc.nat({ max: 4 }),
        fc.uint8Array({ maxLength: 4 }),
        ({ endpoint, body }, where, cut, bytes) => {
          const json = Buffer.from(JSON.stringify(body));
          const at = where % json.length;
          parse(endpoint, Buffer.concat([json.subarray(0, at), bytes, json.subarray(at + cut)]));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('cause nothing but Fault: any bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ENDPOINTS.filter((row) => row.parse !== null)),
        fc.uint8Array({ maxLength: 300 }),
        (endpoint, bytes) => {
          parse(endpoint.id, Buffer.from(bytes));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('give the same answer whatever the order of their members', () => {
    for (const { endpoint, name, body } of bodies) {
      const reversed = JSON.stringify(body, (_key, value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).reverse()) : value,
      );
      const [one, other] = [parse(endpoint, Buffer.from(JSON.stringify(body))), parse(endpoint, Buffer.from(reversed))];
      assert.ok(one !== null && other !== null, `${endpoint}: ${name}`);
      const facts = (request: ParsedRequest): unknown => ({
        model: request.model,
        texts: request.texts
          .filter((text) => !text.fixed)
          .map((text) => `${text.address} ${text.provenance} ${text.text}`)
          .sort(),
        restricted: request.restricted.map((field) => `${field.address} ${field.action}`).sort(),
        references: request.references.map((reference) => `${reference.address} ${reference.source}`).sort(),
        bounds: request.bounds,
      });
      assert.deepEqual(facts(other), facts(one), `${endpoint}: ${name}`);
    }
  });
});
