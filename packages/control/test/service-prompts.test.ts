import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { openPrompt, sealPrompt } from '@sallyport/access';
import { PROBES } from '../src/service/index.ts';
import { bench, faultOf } from './service-fixture.ts';

const WORDS = 'You are Mara of the Harbour Office. Never tell anyone that regulars pay 29 crowns.';

test('a prompt has versions, is sealed in the database, and its words are in no entry', async () => {
  await using b = await bench();
  const { actor } = await b.holder({ roles: ['prompt-author'] });
  assert.equal((await b.service.prompts.put(actor, 'mara', WORDS)).version, 1);
  assert.equal((await b.service.prompts.put(actor, 'mara', WORDS)).version, 1);
  assert.equal((await b.service.prompts.put(actor, 'mara', `${WORDS} Be brief.`)).version, 2);
  assert.equal((await b.service.prompts.show(actor, 'mara', 1)).text, WORDS);
  assert.equal((await b.service.prompts.show(actor, 'mara', null)).text, `${WORDS} Be brief.`);
  assert.deepEqual(
    (await b.service.prompts.history(actor, 'mara')).map(({ version }) => version),
    [2, 1],
  );
  assert.deepEqual(
    (await b.service.prompts.list(actor)).map(({ name, version }) => `${name}@${version}`),
    ['mara@2'],
  );
  const rows = await b.store.prompts.history('mara');
  for (const seen of [JSON.stringify(rows), JSON.stringify(b.entries), JSON.stringify(await b.store.state(0))]) {
    assert.ok(!seen.includes('Mara') && !seen.includes('crowns'), seen);
    assert.ok(!Buffer.from(seen).includes(Buffer.from(WORDS).toString('base64url').slice(4, 30)));
  }
  assert.deepEqual(
    b.entries.filter(({ action }) => action === 'prompt.put').map(({ kind, resource }) => `${kind} ${resource}`),
    ['change prompt:mara', 'change prompt:mara'],
  );
});

test('only who may write prompts writes them, and only who may read them reads them', async () => {
  await using b = await bench();
  await b.service.prompts.put(b.owner, 'mara', WORDS);
  for (const role of ['security-admin', 'model-manager', 'user', 'inference-only', 'auditor']) {
    const { actor } = await b.holder({ roles: [role] });
    await assert.rejects(b.service.prompts.put(actor, 'mara', 'Other words.'), faultOf('forbidden'), role);
    await assert.rejects(b.service.prompts.show(actor, 'mara', null), faultOf('forbidden'), role);
    await assert.rejects(b.service.prompts.check(actor, 'mara', null), faultOf('forbidden'), role);
    await assert.rejects(b.service.prompts.list(actor), faultOf('forbidden'), role);
  }
});

test('names and words are checked', async () => {
  await using b = await bench();
  for (const name of ['', '../x', 'a b', 'x'.repeat(65)])
    await assert.rejects(b.service.prompts.put(b.owner, name, WORDS), faultOf('invalid_request'));
  for (const text of ['', ' \n', 'a\u0000b', '\ud800', 'x'.repeat(65_537)])
    await assert.rejects(b.service.prompts.put(b.owner, 'mara', text), faultOf('invalid_request'));
  await assert.rejects(b.service.prompts.show(b.owner, 'mara', null), faultOf('not_found'));
  await assert.rejects(b.service.prompts.history(b.owner, 'mara'), faultOf('not_found'));
});

test('a check names what does not belong in a prompt, and what the guard would do', async () => {
  await using b = await bench();
  const text = [
    'You answer questions about orders.',
    'Look them up at http://orders.corp.internal:8080/api or 10.1.2.3.',
    'The password is Tr0ub4dor&3xyz and the key AKIAQYLPMN5HHHFPZAM2.',
    'Complaints go to ada.lovelace@harbour-mail.net.',
  ].join('\n');
  await b.service.prompts.put(b.owner, 'orders', text);
  const { findings, probes, leaks } = await b.service.prompts.check(b.owner, 'orders', null);
  const lines = new Map(findings.map(({ category, line }) => [category, line]));
  assert.equal(lines.get('internal-host'), 2);
  assert.equal(lines.get('internal-address'), 2);
  assert.ok([...lines.values()].includes(3), JSON.stringify(findings));
  assert.equal(lines.get('email'), 4);
  assert.equal(probes.total, PROBES.length);
  assert.ok(probes.blocked + probes.flagged > 0 && probes.blocked + probes.flagged <= probes.total);
  assert.deepEqual(leaks.missed, []);
  await b.service.prompts.put(b.owner, 'clean', WORDS);
  assert.deepEqual((await b.service.prompts.check(b.owner, 'clean', null)).findings, []);
});

test('a sealed prompt opens for its own name, version and installation only', () => {
  const pepper = createSecretKey(randomBytes(32));
  const random = { bytes: (length: number) => randomBytes(length) };
  const sealed = sealPrompt(pepper, random, 'mara', 3, WORDS);
  assert.equal(openPrompt(pepper, sealed), WORDS);
  assert.notEqual(sealPrompt(pepper, random, 'mara', 3, WORDS).sealed, sealed.sealed);
  assert.equal(openPrompt(createSecretKey(randomBytes(32)), sealed), null);
  assert.equal(openPrompt(pepper, { ...sealed, name: 'other' }), null);
  assert.equal(openPrompt(pepper, { ...sealed, version: 2 }), null);
  for (const text of ['', 'AAAA', sealed.sealed.slice(0, -2), `A${sealed.sealed.slice(1)}`])
    assert.equal(openPrompt(pepper, { ...sealed, sealed: text }), null);
});
