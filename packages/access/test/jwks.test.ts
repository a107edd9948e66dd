import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JWKS_LIMITS, JWKS_TIMES, JwksCache, type JwksLimits } from '../src/index.ts';
import { faultOf, reasonOf, TestClock } from './fixtures.ts';
import { jwk, rsaKey, TestIssuer } from './issuer.ts';

const first = rsaKey('first');
const second = rsaKey('second');

/** Lets background refreshes, which nobody awaits, come to their end. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('key sets', () => {
  it('are fetched once for many tokens, and with bounds', async () => {
    const issuer = new TestIssuer(first);
    await Promise.all(Array.from({ length: 50 }, (_, index) => issuer.authenticate(issuer.token({ sub: `user-${index}` }))));
    assert.equal(issuer.fetched.length, 1);
    const seen: JwksLimits[] = [];
    const cache = new JwksCache(
      {
        fetch(_uri, limits) {
          seen.push(limits);
          return Promise.resolve({ keys: [] });
        },
      },
      new TestClock(),
    );
    await cache.load('https://a.example/jwks');
    assert.deepEqual(seen, [JWKS_LIMITS]);
  });

  it('are fetched again for a new key, so that rotation needs no waiting', async () => {
    const issuer = new TestIssuer(first);
    await issuer.authenticate(issuer.token());
    issuer.clock.advance(JWKS_TIMES.cooldown);
    issuer.document = { keys: [jwk(first), jwk(second)] };
    assert.equal((await issuer.authenticate(issuer.token({}, {}, second))).id, 'corp:alice');
    assert.equal(issuer.fetched.length, 2);
  });

  it('are not fetched for a flood of unknown keys', async () => {
    const issuer = new TestIssuer(first);
    await issuer.authenticate(issuer.token());
    for (let index = 0; index < 20; index++) {
      const token = issuer.token({}, { kid: `unknown-${index}` });
      assert.equal(await reasonOf(() => issuer.authenticate(token)), 'signing-key');
    }
    assert.equal(issuer.fetched.length, 1);
    issuer.clock.advance(JWKS_TIMES.cooldown);
    const flood = Array.from({ length: 20 }, (_, index) => reasonOf(() => issuer.authenticate(issuer.token({}, { kid: `more-${index}` }))));
    assert.deepEqual(new Set(await Promise.all(flood)), new Set(['signing-key']));
    assert.equal(issuer.fetched.length, 2);
  });

  it('that lost a key end what was verified with it, remembered or not', async () => {
    const issuer = new TestIssuer(first);
    const token = issuer.token();
    await issuer.authenticate(token);
    issuer.document = { keys: [jwk(second)] };
    issuer.clock.advance(JWKS_TIMES.fresh + 1);
    await issuer.authenticate(token);
    await settled();
    assert.equal(await reasonOf(() => issuer.authenticate(token)), 'signing-key');
  });

  it('that did not change keep what was verified with them', async () => {
    const issuer = new TestIssuer(first);
    const token = issuer.token();
    await issuer.authenticate(token);
    issuer.clock.advance(JWKS_TIMES.fresh + 1);
    await issuer.authenticate(token);
    await settled();
    assert.equal(issuer.fetched.length, 2);
    assert.ok(!(issuer.authenticate(token) instanceof Promise));
  });

  it('serve through an outage, up to their bound', async () => {
    const issuer = new TestIssuer(first);
    await issuer.authenticate(issuer.token());
    issuer.document = new Error('connection refused');
    issuer.clock.advance(JWKS_TIMES.stale);
    assert.equal((await issuer.authenticate(issuer.token({ sub: 'bob' }))).id, 'corp:bob');
    await settled();
    assert.deepEqual(issuer.jwks.status(), [{ uri: 'https://id.corp.example/jwks', age: JWKS_TIMES.stale, failed: true }]);
    issuer.clock.advance(1);
    const fault = await faultOf(() => issuer.authenticate(issuer.token({ sub: 'carol' })));
    assert.deepEqual([fault.code, fault.detail], ['not_ready', 'jwks-unavailable']);
  });

  it('bound what is remembered too: a known token does not outlive the keys', async () => {
    const issuer = new TestIssuer(first);
    const token = issuer.token({ exp: issuer.now + 80_000 });
    await issuer.authenticate(token);
    issuer.document = new Error('connection refused');
    issuer.clock.advance(JWKS_TIMES.stale + 1);
    assert.equal(await reasonOf(() => issuer.authenticate(token)), 'jwks-unavailable');
  });

  it('survive a configuration change during an outage', async () => {
    const issuer = new TestIssuer(first);
    await issuer.authenticate(issuer.token());
    issuer.document = new Error('connection refused');
    issuer.renew();
    assert.equal((await issuer.authenticate(issuer.token())).id, 'corp:alice');
  });

  it('are taken up again soon after an outage, and the issuer is not pressed meanwhile', async () => {
    const issuer = new TestIssuer(first);
    issuer.document = new Error('connection refused');
    for (let index = 0; index < 20; index++) assert.equal(await reasonOf(() => issuer.authenticate(issuer.token())), 'jwks-unavailable');
    assert.equal(issuer.fetched.length, 1);
    issuer.document = { keys: [jwk(first)] };
    issuer.clock.advance(JWKS_TIMES.retry);
    assert.equal((await issuer.authenticate(issuer.token())).id, 'corp:alice');
    assert.equal(issuer.jwks.status()[0]?.failed, false);
  });

  it('that are not well formed count as an outage', async () => {
    const documents: unknown[] = [
      null,
      'keys',
      7,
      [],
      {},
      { keys: {} },
      { keys: 'x' },
      { keys: Array.from({ length: 65 }, () => jwk(first)) },
    ];
    for (const document of documents) {
      const issuer = new TestIssuer(first);
      issuer.document = document;
      assert.equal(await reasonOf(() => issuer.authenticate(issuer.token())), 'jwks-unavailable', JSON.stringify(document)?.slice(0, 40));
      const running = new TestIssuer(first);
      await running.authenticate(running.token());
      running.document = document;
      running.clock.advance(JWKS_TIMES.fresh + 1);
      assert.equal((await running.authenticate(running.token())).id, 'corp:alice');
      await settled();
      assert.equal((await running.authenticate(running.token({ sub: 'bob' }))).id, 'corp:bob');
    }
  });

  it('that are empty end every token of the issuer', async () => {
    const issuer = new TestIssuer(first);
    issuer.document = { keys: [] };
    assert.equal(await reasonOf(() => issuer.authenticate(issuer.token())), 'signing-key');
  });
});
