import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ACTIONS } from '@sallyport/core';
import { API_KEY_PATTERN, AUTHENTICATION_REASONS, BUILT_IN_ROLES, builtInRoles, createApiKey, parseApiKey } from '../src/index.ts';

const ROLES = new URL('../../../docs/roles.md', import.meta.url);
const KEYS = new URL('../../../docs/api-keys.md', import.meta.url);
const BEGIN = '<!-- begin: role table -->\n';
const END = '<!-- end: role table -->';

/** Every action × role, in the order of the closed list, so that a new action cannot be forgotten here. */
function roleTable(): string {
  const names = BUILT_IN_ROLES.map(({ name }) => `\`${name}\``);
  const rows = ACTIONS.map((action) => {
    const cells = BUILT_IN_ROLES.map(({ actions }) => (actions.includes(action) ? '✓' : ''));
    return `| \`${action}\` | ${cells.join(' | ')} |`;
  });
  return [`| | ${names.join(' | ')} |`, `|---|${':-:|'.repeat(names.length)}`, ...rows, ''].join('\n');
}

describe('docs/roles.md', () => {
  it('shows the role table as the code has it', () => {
    const page = readFileSync(ROLES, 'utf8');
    const begin = page.indexOf(BEGIN) + BEGIN.length;
    const end = page.indexOf(END);
    assert.ok(begin >= BEGIN.length && end >= begin, 'the page has lost its markers');
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(ROLES, page.slice(0, begin) + roleTable() + page.slice(end));
    assert.equal(readFileSync(ROLES, 'utf8').slice(begin).split(END)[0], roleTable());
  });

  it('has a row on every built-in role', () => {
    const page = readFileSync(ROLES, 'utf8');
    for (const { name } of BUILT_IN_ROLES) assert.ok(page.includes(`| \`${name}\` | `), name);
  });
});

describe('docs/api-keys.md', () => {
  const page = readFileSync(KEYS, 'utf8');

  it('publishes the regular expression that the code uses', () => {
    assert.ok(page.includes(`\n${API_KEY_PATTERN.source}\n`));
  });

  it('shows an example that is a well-formed key, and is the one with fixed bytes', () => {
    const example = API_KEY_PATTERN.exec(page)?.[0] ?? '';
    assert.equal(example, createApiKey({ bytes: (length) => new Uint8Array(length).fill(1) }, 'test').key);
    assert.equal(typeof parseApiKey(example), 'object');
  });

  it('explains every reason of a refused authentication', () => {
    for (const reason of AUTHENTICATION_REASONS) assert.ok(page.includes(`\`${reason}\``), reason);
  });
});

describe('separation of duty', () => {
  const rights = (name: string) => new Set(builtInRoles().get(name)?.actions);

  it('gives no role but owner both the prompts and the keys that protect them', () => {
    for (const [name, { actions }] of builtInRoles()) {
      if (name === 'owner') continue;
      assert.ok(!(actions.includes('prompt.write') && actions.includes('encryption-key.rotate')), name);
      assert.ok(!(actions.includes('prompt.write') && actions.some((action) => action.startsWith('key.'))), name);
      assert.ok(!(actions.includes('model.infer') && actions.includes('policy.write')), name);
      assert.ok(!(actions.includes('model.infer') && actions.includes('audit.read')), name);
    }
  });

  it('lets an auditor change nothing and use no model', () => {
    for (const action of rights('auditor')) assert.match(action, /\.(?:read|list|export)$/);
    assert.ok(!rights('auditor').has('model.list'));
  });

  it('gives features that pass by a policy to no ordinary caller', () => {
    for (const name of ['user', 'inference-only', 'prompt-author', 'auditor', 'security-admin']) {
      const features = [...rights(name)].filter((action) => action.startsWith('feature.') && action !== 'feature.references');
      assert.deepEqual(features, [], name);
    }
    for (const action of ['feature.private-references', 'feature.server-tools', 'feature.stored-state'] as const) {
      const holders = [...builtInRoles().values()].filter(({ actions }) => actions.includes(action)).map(({ name }) => name);
      assert.deepEqual(holders, ['owner'], action);
    }
  });

  it('makes inference-only the least of those who use a model, and owner hold everything', () => {
    assert.deepEqual([...rights('inference-only')], ['model.infer', 'model.embed', 'model.rerank', 'model.list']);
    for (const name of ['user', 'prompt-author', 'model-manager']) assert.ok(rights('inference-only').isSubsetOf(rights(name)), name);
    assert.deepEqual(rights('owner'), new Set(ACTIONS));
  });
});
