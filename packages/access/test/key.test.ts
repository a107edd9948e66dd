import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { API_KEY_PATTERN, createApiKey, digestApiKey, parseApiKey, verifyApiKey } from '../src/index.ts';
import { pepper, random } from './fixtures.ts';

const environment = fc.constantFrom('live' as const, 'test' as const);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyKey = fc.tuple(environment, bytes(16), bytes(32)).map(([env, id, secret]) => {
  return createApiKey({ bytes: (length) => (length === 32 ? secret : id) }, env);
});

describe('API key format', () => {
  it('is parsed back, for every random source and environment', () => {
    fc.assert(
      fc.property(environment, bytes(16), bytes(32), (env, id, secret) => {
        const created = createApiKey({ bytes: (length) => (length === 32 ? secret : id) }, env);
        assert.deepEqual(parseApiKey(created.key), { id: created.id, environment: env });
        assert.match(created.key, API_KEY_PATTERN);
        assert.equal(created.key.length, 8 + 12 + 1 + 43 + 6);
      }),
    );
  });

  it('has one fixed example, so that the published format cannot drift', () => {
    const created = createApiKey({ bytes: (length) => new Uint8Array(length).fill(1) }, 'test');
    assert.equal(created.key, 'sp_test_1tvq6ktn8q2p_0El6XFXwsUFD8J2vGxsaboW7rZYnQRBP5d9erwRwd290oRKms');
  });

  it('has a different secret and id each time', () => {
    const keys = Array.from({ length: 100 }, () => createApiKey(random, 'live'));
    assert.equal(new Set(keys.map(({ id }) => id)).size, 100);
    assert.equal(new Set(keys.map(({ key }) => key.slice(-49))).size, 100);
  });

  it('tells every change of one character as a typing error or as no key', () => {
    fc.assert(
      fc.property(anyKey, fc.nat(69), fc.string({ minLength: 1, maxLength: 1, unit: 'grapheme-ascii' }), ({ key }, position, character) => {
        fc.pre(key.charAt(position) !== character);
        const changed = key.slice(0, position) + character + key.slice(position + 1);
        const parsed = parseApiKey(changed);
        assert.ok(parsed === 'not-a-key' || parsed === 'bad-checksum', `accepted a change at ${position}`);
      }),
      { numRuns: 2000 },
    );
  });

  it('tells two neighbouring characters that were swapped, and a lost or doubled one', () => {
    fc.assert(
      fc.property(anyKey, fc.nat(68), ({ key }, at) => {
        const a = key.charAt(at);
        const b = key.charAt(at + 1);
        const swapped = key.slice(0, at) + b + a + key.slice(at + 2);
        if (a !== b) assert.equal(typeof parseApiKey(swapped), 'string');
        assert.equal(parseApiKey(key.slice(0, at) + key.slice(at + 1)), 'not-a-key');
        assert.equal(parseApiKey(key.slice(0, at) + a + key.slice(at)), 'not-a-key');
      }),
    );
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        assert.equal(parseApiKey(text), 'not-a-key');
      }),
    );
  });

  it('is not found with anything before or behind it', () => {
    const { key } = createApiKey(random, 'live');
    for (const text of [` ${key}`, `${key} `, `${key}\n`, `\n${key}`, `Bearer ${key}`, key.toUpperCase(), `${key}\0`]) {
      assert.equal(parseApiKey(text), 'not-a-key');
    }
  });

  it('is found by the published pattern within other text', () => {
    const { key } = createApiKey(random, 'live');
    assert.equal(API_KEY_PATTERN.exec(`export KEY="${key}" # prod`)?.[0], key);
    assert.equal(API_KEY_PATTERN.exec(`https://example.test/?k=${key}&x=1`)?.[0], key);
    assert.doesNotMatch(`${key}0`, API_KEY_PATTERN);
  });
});

describe('API key verification', () => {
  const { key } = createApiKey(random, 'live');
  const other = createApiKey(random, 'live').key;
  const current = { hmac: digestApiKey(pepper, key), until: null };
  const older = { hmac: digestApiKey(pepper, other), until: 1_000 };

  it('stores 32 bytes of HMAC-SHA-256, base64url, and nothing of the key', () => {
    assert.match(current.hmac, /^[\w-]{43}$/);
    assert.ok(!current.hmac.includes(key.slice(-10)));
  });

  it('matches the current secret and, until its time, the one before it', () => {
    assert.equal(verifyApiKey(pepper, key, [current, older], 999), 'match');
    assert.equal(verifyApiKey(pepper, other, [current, older], 999), 'match');
    assert.equal(verifyApiKey(pepper, other, [current, older], 1_000), 'ended');
    assert.equal(verifyApiKey(pepper, key, [older, current], 5_000), 'match');
  });

  it('does not match another key, no digest, or another pepper', () => {
    assert.equal(verifyApiKey(pepper, other, [current], 0), 'mismatch');
    assert.equal(verifyApiKey(pepper, key, [], 0), 'mismatch');
    assert.equal(verifyApiKey(pepper, key, null, 0), 'mismatch');
    assert.equal(verifyApiKey(createSecretKey(Buffer.alloc(32, 8)), key, [current], 0), 'mismatch');
  });

  it('does not match a damaged digest, not even an empty or a zero one', () => {
    for (const hmac of [
      '',
      'A',
      '='.repeat(43),
      'A'.repeat(43),
      current.hmac.slice(1),
      `${current.hmac}AAAA`.slice(4),
      '\u0000'.repeat(43),
    ]) {
      assert.equal(verifyApiKey(pepper, key, [{ hmac, until: null }], 0), 'mismatch', JSON.stringify(hmac));
    }
  });

  it('does not match the beginning of a digest, not even where the missing byte would be zero', () => {
    const keys = Array.from({ length: 3_000 }, (_, seed) => {
      return createApiKey({ bytes: (length) => new Uint8Array(length).fill(seed).fill(seed >> 8, 1, 9) }, 'live').key;
    });
    const unlucky = keys.find((candidate) => Buffer.from(digestApiKey(pepper, candidate), 'base64url').at(-1) === 0);
    if (unlucky === undefined) assert.fail('one of these keys has such a digest');
    const hmac = Buffer.from(digestApiKey(pepper, unlucky), 'base64url').subarray(0, 31).toString('base64url');
    assert.equal(verifyApiKey(pepper, unlucky, [{ hmac, until: null }], 0), 'mismatch');
  });

  it('does not look at a third digest', () => {
    const unrelated = { hmac: digestApiKey(pepper, createApiKey(random, 'live').key), until: null };
    assert.equal(verifyApiKey(pepper, key, [unrelated, unrelated, current], 0), 'mismatch');
  });
});
