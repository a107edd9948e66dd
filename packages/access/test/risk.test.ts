import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RiskSettings } from '@sallyport/core';
import fc from 'fast-check';
import { RiskBook, type RiskLevel, type RiskMessage, type RiskSubject } from '../src/risk/book.ts';
import { SETTINGS } from './risk-settings.ts';

function make(settings: RiskSettings = SETTINGS): {
  book: RiskBook;
  clock: { time: number };
  steps: [RiskSubject, RiskLevel, string][];
  sent: RiskMessage[];
} {
  const clock = { time: 1_000_000 };
  const steps: [RiskSubject, RiskLevel, string][] = [];
  const sent: RiskMessage[] = [];
  const book = new RiskBook(settings, {
    clock: { now: () => clock.time, monotonic: () => clock.time },
    onRisk: (view, _before, reason) => steps.push([view.subject, view.level, reason]),
    relay: { send: (message) => sent.push(message) },
  });
  return { book, clock, steps, sent };
}

describe('the risk book', () => {
  it('slows, asks a session for a fresh credential, and keeps out; each step is told once', () => {
    const { book, steps } = make();
    for (let i = 0; i < 12; i += 1) {
      book.report('principal:acme/bot', 'blocked');
      book.report('session:acme/jwt:1', 'blocked');
    }
    assert.deepEqual(steps, [
      ['principal:acme/bot', 'throttle', 'blocked'],
      ['session:acme/jwt:1', 'throttle', 'blocked'],
      ['session:acme/jwt:1', 'challenge', 'blocked'],
      ['principal:acme/bot', 'block', 'blocked'],
      ['session:acme/jwt:1', 'block', 'blocked'],
    ]);
    assert.equal(book.check('principal:acme/bot')?.level, 'block');
    assert.equal(book.check('principal:acme/other'), null);
    assert.equal(book.check('session:acme/jwt:2'), null);
  });

  it('lets a throttled caller through at its pace', () => {
    const { book, clock } = make();
    for (let i = 0; i < 4; i += 1) book.report('principal:acme/bot', 'blocked');
    let passed = 0;
    for (let second = 0; second < 60; second += 1) {
      if (book.check('principal:acme/bot') === null) passed += 1;
      clock.time += 1_000;
    }
    assert.ok(passed >= 9 && passed <= 11, String(passed));
  });

  it('forgets: half in each half-life, then all of it', () => {
    const { book, clock, steps } = make();
    for (let i = 0; i < 11; i += 1) book.report('principal:acme/bot', 'blocked');
    assert.equal(book.show('principal:acme/bot')?.until, clock.time + 900_000);
    clock.time += 600_000;
    assert.equal(book.show('principal:acme/bot')?.score, 110);
    assert.equal(book.check('principal:acme/bot')?.level, 'block');
    clock.time += 300_001;
    book.sweep();
    assert.deepEqual(steps.at(-1), ['principal:acme/bot', 'throttle', 'decay']);
    clock.time += 600_000;
    book.sweep();
    assert.deepEqual(steps.at(-1), ['principal:acme/bot', 'none', 'decay']);
    clock.time += 12 * 600_000;
    book.sweep();
    assert.ok(book.isEmpty);
  });

  it('an operator lifts it, and every replica hears of all of it', () => {
    const one = make();
    const two = make();
    for (let i = 0; i < 11; i += 1) one.book.report('principal:acme/bot', 'blocked');
    for (const message of one.sent.splice(0)) two.book.apply(message);
    assert.equal(two.book.check('principal:acme/bot')?.level, 'block');
    assert.deepEqual(two.sent, []);
    const view = two.book.reset('principal:acme/bot');
    assert.deepEqual([view?.level, view?.signals], ['none', [{ signal: 'blocked', count: 11, lastAt: 1_000_000 }]]);
    for (const message of two.sent) one.book.apply(message);
    assert.equal(one.book.check('principal:acme/bot'), null);
    assert.ok(one.book.isEmpty && two.book.isEmpty);
    assert.equal(two.book.reset('principal:acme/bot'), null);
  });

  it('counts nobody where it is turned off, or a signal is worth nothing, and no more than it has room for', () => {
    const { book } = make({ ...SETTINGS, enabled: false });
    book.report('principal:acme/bot', 'blocked', 100);
    assert.ok(book.isEmpty);
    const none = make({ ...SETTINGS, points: { ...SETTINGS.points, limited: 0 } });
    none.book.report('principal:acme/bot', 'limited', 100);
    assert.ok(none.book.isEmpty);
    const many = make();
    for (let i = 0; i < 60_000; i += 1) many.book.report(`address:${i}`, 'authentication');
    assert.equal(many.book.list().length, 25_000);
    for (let i = 0; i < 26_000; i += 1) many.book.report(`session:acme/jwt:${i}`, 'denied');
    assert.equal(many.book.list().length, 50_000);
    many.clock.time += 2_400_000;
    many.book.sweep();
    assert.equal(many.book.list().length, 0);
    many.book.report('address:0', 'authentication');
    assert.equal(many.book.list().length, 1);
  });

  it('what is bad counts by its share of what a subject sends, before and after it, and nothing ends a block', () => {
    const { book } = make();
    const one = 'principal:acme/app';
    for (let i = 0; i < 50; i += 1) book.endedWell(one);
    for (let i = 0; i < 10; i += 1) book.report(one, 'blocked');
    // A key that many use: ten blocked texts among fifty others neither slow it nor keep it out.
    assert.deepEqual([book.show(one)?.share, book.show(one)?.level], [0.17, 'none']);
    assert.ok((book.show(one)?.score ?? 0) < 35);
    for (let i = 0; i < 940; i += 1) book.endedWell(one);
    assert.equal(book.show(one)?.score, 0);
    // No number of good requests hides a flood of bad ones.
    for (let i = 0; i < 200; i += 1) book.report(one, 'blocked');
    assert.equal(book.show(one)?.level, 'block');
    for (let i = 0; i < 20_000; i += 1) book.endedWell(one);
    assert.equal(book.check(one)?.level, 'block');
    const among = (good: number): string => {
      const fresh = make().book;
      for (let i = 0; i < good; i += 1) fresh.endedWell(one);
      for (let i = 0; i < 10; i += 1) fresh.report(one, 'blocked');
      return fresh.show(one)?.level ?? '';
    };
    assert.deepEqual([among(0), among(5), among(20), among(50)], ['block', 'throttle', 'throttle', 'none']);
  });

  it('many lesser signals among much that is well leave no score, alone they do', () => {
    const { book } = make();
    for (let i = 0; i < 1_000; i += 1) {
      book.report('principal:acme/app', 'flagged');
      for (let j = 0; j < 9; j += 1) book.endedWell('principal:acme/app');
      book.report('principal:acme/bot', 'flagged');
    }
    assert.equal(book.show('principal:acme/app')?.level, 'none');
    assert.equal(book.show('principal:acme/bot')?.level, 'block');
  });

  it('replicas judge by what ended well on all of them', () => {
    const one = make();
    const two = make();
    const subject = 'principal:acme/app';
    for (let i = 0; i < 100; i += 1) two.book.endedWell(subject);
    assert.deepEqual(two.sent, []);
    for (let i = 0; i < 3; i += 1) one.book.report(subject, 'blocked');
    for (const message of one.sent.splice(0)) two.book.apply(message);
    assert.deepEqual(two.sent, [{ kind: 'well', subject, times: 100 }]);
    for (const message of two.sent.splice(0)) one.book.apply(message);
    assert.deepEqual(one.book.show(subject), two.book.show(subject));
    assert.equal(one.book.show(subject)?.level, 'none');
    // Of two that are told together what is well comes first, so that nobody is kept out for what it outweighs.
    const three = make();
    for (let i = 0; i < 30; i += 1) three.book.endedWell('principal:acme/other');
    three.book.report('principal:acme/other', 'blocked', 10);
    for (const message of three.sent.splice(0)) one.book.apply(message);
    assert.deepEqual([one.book.show('principal:acme/other')?.level, one.sent], ['none', []]);
    // Each tells only what is new.
    for (let i = 0; i < 5; i += 1) two.book.endedWell(subject);
    two.book.sweep();
    assert.deepEqual(two.sent, [{ kind: 'well', subject, times: 5 }]);
    assert.deepEqual(one.sent, []);
  });

  it('a score is the sum of its points, each halved by its age, in any order of subjects', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 120_000 }), fc.constantFrom('a', 'b'), fc.constantFrom('blocked', 'denied', 'flagged')),
          { maxLength: 40 },
        ),
        (events) => {
          const { book, clock } = make({ ...SETTINGS, throttleAt: 1e9, challengeAt: 1e9, blockAt: 1e9 });
          const seen: { at: number; who: string; points: number }[] = [];
          for (const [pause, who, signal] of events) {
            clock.time += pause;
            book.report(`principal:acme/${who}`, signal);
            seen.push({ at: clock.time, who, points: SETTINGS.points[signal] });
          }
          for (const who of ['a', 'b']) {
            const expected = seen
              .filter((one) => one.who === who)
              .reduce((sum, { at, points }) => sum + points * 2 ** (-(clock.time - at) / SETTINGS.halfLife), 0);
            assert.ok(Math.abs((book.show(`principal:acme/${who}`)?.score ?? 0) - expected) < 0.06);
          }
        },
      ),
    );
  });
});
