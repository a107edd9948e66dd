import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PASS, type Verdict } from '@sallyport/core';
import type { Guard, TextContext } from '@sallyport/guard';
import { RememberingGuard } from '../src/remembering-guard.ts';

const user: TextContext = { stage: 'input', provenance: 'user', kind: 'content' };

function counting(verdict: (text: string) => Verdict): { guard: RememberingGuard; calls: () => number } {
  let calls = 0;
  const inner: Guard = {
    tokenises: false,
    inspect: (text) => {
      calls += 1;
      return verdict(text);
    },
    open: () => assert.fail('not opened here'),
  };
  return { guard: new RememberingGuard(inner), calls: () => calls };
}

describe('a guard that remembers', () => {
  const long = 'An ordinary sentence. '.repeat(30);

  it('judges a text that passed once, in each place', () => {
    const { guard, calls } = counting(() => PASS);
    for (let i = 0; i < 3; i += 1) assert.equal(guard.inspect(long, user).effect, 'pass');
    assert.equal(calls(), 1);
    guard.inspect(long, { ...user, provenance: 'untrusted' });
    guard.inspect(long, { ...user, kind: 'name' });
    guard.inspect(long, { ...user, stage: 'output' });
    assert.equal(calls(), 4);
    guard.inspect(`${long}.`, user);
    assert.equal(calls(), 5);
  });

  it('remembers the shortest text too, and each tenant its own', () => {
    const { guard, calls } = counting(() => PASS);
    const acme: TextContext = { ...user, tenant: 'acme' };
    for (let i = 0; i < 3; i += 1) assert.equal(guard.inspect('yes', acme).effect, 'pass');
    assert.equal(calls(), 1);
    guard.inspect('yes', { ...acme, tenant: 'globex' });
    guard.inspect('yes', user);
    assert.equal(calls(), 3);
  });

  it('never remembers anything but a pass', () => {
    const { guard, calls } = counting(() => ({ effect: 'flag', findings: [] }));
    for (let i = 0; i < 3; i += 1) assert.equal(guard.inspect(long, user).effect, 'flag');
    assert.equal(calls(), 3);
    guard.inspect('no', user);
    guard.inspect('no', user);
    assert.equal(calls(), 5);
  });

  it('does not take one lone surrogate for another', () => {
    const { guard, calls } = counting((text) => (text.includes('\ud800') ? PASS : { effect: 'block', findings: [] }));
    assert.equal(guard.inspect(`${long}\ud800`, user).effect, 'pass');
    assert.equal(guard.inspect(`${long}\udfff`, user).effect, 'block');
    assert.equal(guard.inspect(`${long}\ufffd`, user).effect, 'block');
    assert.equal(calls(), 3);
  });

  it('keeps a bounded number of texts', () => {
    const { guard, calls } = counting(() => PASS);
    for (let i = 0; i < 20_000; i += 1) guard.inspect(long + i, user);
    guard.inspect(`${long}0`, user);
    assert.equal(calls(), 20_001);
    guard.inspect(`${long}19999`, user);
    assert.equal(calls(), 20_001);
  });
});
