import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import { createApiKey, extractCredential } from '../src/index.ts';
import { faultOf, random } from './fixtures.ts';

const { key } = createApiKey(random, 'live');
const { key: otherKey } = createApiKey(random, 'live');
const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';

/** Every header that may carry a credential, and how it carries it. */
const CARRIERS = [
  { header: 'Authorization', write: (value: string) => `Bearer ${value}` },
  { header: 'X-Api-Key', write: (value: string) => value },
  { header: 'Api-Key', write: (value: string) => value },
] as const;

const CREDENTIALS = [
  { kind: 'api-key', value: key },
  { kind: 'jwt', value: token },
  { kind: 'api-key', value: 'sk-proj-another-products-key' },
] as const;

describe('extractCredential', () => {
  for (const { header, write } of CARRIERS) {
    for (const credential of CREDENTIALS) {
      for (const spelling of [header, header.toLowerCase(), header.toUpperCase()]) {
        it(`finds ${credential.value.slice(0, 8)}… in ${spelling}`, () => {
          const raw = ['Host', 'gateway.example', spelling, write(credential.value), 'Accept', '*/*'];
          assert.deepEqual(extractCredential(raw), credential);
        });
      }
    }
  }

  it('takes the same credential in several headers as one', () => {
    for (const first of CARRIERS) {
      for (const second of CARRIERS) {
        if (first === second) continue;
        const raw = [first.header, first.write(key), second.header, second.write(key)];
        assert.deepEqual(extractCredential(raw), { kind: 'api-key', value: key });
      }
    }
  });

  it('refuses two different credentials, for every pair of headers and either order (A6)', async () => {
    for (const first of CARRIERS) {
      for (const second of CARRIERS) {
        if (first === second) continue;
        for (const [a, b] of [
          [key, otherKey],
          [key, token],
          ['x', key],
        ] as const) {
          const fault = await faultOf(() => extractCredential([first.header, first.write(a), second.header, second.write(b)]));
          assert.deepEqual([fault.code, fault.detail], ['invalid_request', 'two-credentials'], `${first.header} + ${second.header}`);
        }
      }
    }
  });

  it('refuses a header that is sent twice, even with one value', async () => {
    for (const { header, write } of CARRIERS) {
      for (const second of [key, otherKey]) {
        const fault = await faultOf(() => extractCredential([header, write(key), header.toLowerCase(), write(second)]));
        assert.deepEqual([fault.code, fault.detail], ['invalid_request', 'repeated-header']);
      }
    }
  });

  it('refuses other schemes and says what is expected', async () => {
    for (const value of [
      key,
      'Basic dXNlcjpwYXNz',
      'Digest username="a"',
      'Negotiate abc',
      'DPoP abc',
      'Bearer',
      'Bearerx',
      `Bearer${key}`,
      `Token ${key}`,
    ]) {
      const fault = await faultOf(() => extractCredential(['authorization', value]));
      assert.deepEqual([fault.code, fault.detail], ['invalid_api_key', 'scheme'], value);
      assert.match(fault.message, /"Bearer "/);
      assert.ok(!fault.message.includes(key));
    }
  });

  it('takes the scheme in any case and several blanks after it (RFC 9110, section 11.1)', () => {
    for (const scheme of ['bearer', 'BEARER', 'BeArEr']) {
      assert.deepEqual(extractCredential(['authorization', `${scheme}   ${key}`]), { kind: 'api-key', value: key });
    }
  });

  it('refuses an empty and an oversized credential', async () => {
    for (const { header } of CARRIERS) {
      assert.deepEqual((await faultOf(() => extractCredential([header, ' ']))).detail, 'malformed');
      assert.deepEqual((await faultOf(() => extractCredential([header, `Bearer ${'a'.repeat(8192)}`]))).detail, 'oversize');
    }
  });

  it('finds nothing where there is nothing', () => {
    assert.equal(extractCredential([]), null);
    assert.equal(extractCredential(['host', 'a', 'content-type', 'application/json']), null);
  });

  it('A17: no identity header, cookie or look-alike ever counts', () => {
    const names = [
      'x-forwarded-user',
      'x-forwarded-email',
      'x-forwarded-groups',
      'x-forwarded-preferred-username',
      'x-forwarded-access-token',
      'x-auth-request-user',
      'x-auth-request-access-token',
      'x-pomerium-jwt-assertion',
      'x-pomerium-claim-sub',
      'x-remote-user',
      'remote-user',
      'x-user-id',
      'x-forwarded-client-cert',
      'proxy-authorization',
      'cookie',
      'x-goog-api-key',
      'apikey',
    ];
    for (const name of names) assert.equal(extractCredential([name, `Bearer ${key}`]), null, name);
  });

  it('A18: an underscore variant of a credential header is not that header', () => {
    for (const name of ['x_api_key', 'x-api_key', 'x_api-key', 'api_key', 'authorization_', '_authorization', 'authorizatio_']) {
      assert.equal(extractCredential([name, key]), null, name);
    }
  });

  it('A18: refuses a credential that the connection header declares hop-by-hop', async () => {
    for (const value of ['authorization', 'close, X-Api-Key', 'keep-alive,api-key ,te', ' Authorization']) {
      for (const raw of [
        ['connection', value, 'x-api-key', key],
        ['x-api-key', key, 'Connection', value],
      ]) {
        const fault = await faultOf(() => extractCredential(raw));
        assert.deepEqual([fault.code, fault.detail], ['invalid_request', 'hop-by-hop-credential']);
      }
    }
    assert.notEqual(extractCredential(['connection', 'keep-alive, upgrade', 'x-api-key', key]), null);
  });

  it('ends in a credential, null or a Fault for any headers at all', () => {
    const name = fc.oneof(
      fc.constantFrom('authorization', 'x-api-key', 'api-key', 'connection', '__proto__'),
      fc.string({ maxLength: 14 }),
    );
    const value = fc.oneof(fc.constantFrom(`Bearer ${key}`, key, token, 'Bearer '), fc.string({ unit: 'binary', maxLength: 60 }));
    fc.assert(
      fc.property(fc.array(fc.oneof(name, value), { maxLength: 9 }), (raw) => {
        try {
          const found = extractCredential(raw);
          assert.ok(found === null || found.value.length > 0);
        } catch (error) {
          assert.ok(error instanceof Fault);
        }
      }),
    );
  });
});
