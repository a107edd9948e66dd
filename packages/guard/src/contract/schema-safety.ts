import type { GuardConfigIssue } from '../error.ts';
import { linearPattern } from './linear-pattern.ts';

/** Keywords whose values are data, not schemas. */
const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);
/** Keywords whose values have schemas under names of the author's, which may be those of keywords. */
const NAMED: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
const FORBIDDEN = ['$dynamicRef', '$recursiveRef', '$anchor', '$dynamicAnchor'] as const;

/**
 * What in a JSON Schema, called `root` where it is named, could make validation dear or reach beyond it: patterns that need backtracking, references to elsewhere or to itself,
 * a part that references are read from in place of the whole. What passes costs at most the size of the schema times that of the reply.
 */
export function schemaProblems(schema: Readonly<Record<string, unknown>>, root: string, mostNodes: number): readonly GuardConfigIssue[] {
  const issues: GuardConfigIssue[] = [];
  const report = (path: string, expected: string, got: string): void => void issues.push({ path, expected, got });
  let nodes = 0;
  const walk = (node: unknown, path: string, following: readonly string[], named = false): void => {
    if (typeof node !== 'object' || node === null || issues.length > 20) return;
    nodes += 1;
    if (nodes > mostNodes) {
      if (nodes === mostNodes + 1) report(root, `at most ${mostNodes} schemas, references followed`, 'more');
      return;
    }
    for (const [key, value] of Object.entries(node)) {
      const at = Array.isArray(node) ? `${path}[${key}]` : `${path}.${key}`;
      if (named) {
        walk(value, at, following);
        continue;
      }
      if (DATA.has(key)) continue;
      if (key === 'pattern' && typeof value === 'string') checkPattern(value, at, report);
      if (key === 'patternProperties' && typeof value === 'object' && value !== null) {
        for (const pattern of Object.keys(value)) checkPattern(pattern, at, report);
      }
      if (key === '$id' && node !== schema && typeof value === 'string') report(at, 'no $id within a schema', 'one');
      if (FORBIDDEN.some((name) => name === key) && typeof value === 'string') report(at, 'references by #/… only', key);
      if (key === '$ref' && typeof value === 'string') follow(value, at, following);
      else walk(value, at, following, NAMED.has(key));
    }
  };
  const follow = (reference: string, at: string, following: readonly string[]): void => {
    if (reference !== '#' && !reference.startsWith('#/'))
      report(at, 'a reference within the schema: #/$defs/…', JSON.stringify(reference.slice(0, 60)));
    else if (following.includes(reference) || reference === '#')
      report(at, 'a schema that does not refer to itself', JSON.stringify(reference.slice(0, 60)));
    else walk(resolve(schema, reference), at, [...following, reference]);
  };
  walk(schema, root, []);
  return issues;
}

function checkPattern(pattern: string, at: string, report: (path: string, expected: string, got: string) => void): void {
  try {
    linearPattern(pattern);
  } catch (error) {
    report(at, 'a pattern that can be matched in linear time (RE2)', error instanceof Error ? error.message.slice(0, 120) : 'another');
  }
}

/** RFC 6901; what cannot be read leads nowhere. */
export function resolve(root: unknown, reference: string): unknown {
  let node = root;
  for (const part of reference.split('/').slice(1)) {
    if (/%(?![0-9A-Fa-f]{2})/.test(part)) return undefined;
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined;
    node = Reflect.get(node, key);
  }
  return node;
}
