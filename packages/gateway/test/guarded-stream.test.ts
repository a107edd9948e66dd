import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DenyPattern, GuardSettings } from '@sallyport/core';
import { answerJson, cutEvery, ScriptedUpstream, stream } from '@sallyport/testkit';
import { GUARDED, type GuardedCase } from './guarded.ts';
import { GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const BEFORE = 'The launch code is ';
const WORD = 'XYZZY-4711';
const AFTER = ', keep it well.';
const TEXT = BEFORE + WORD + AFTER;

const deny = (action: DenyPattern['action'], stages: DenyPattern['stages'] = ['output']): DenyPattern[] => [
  { name: 'codeword', pattern: 'XYZZY-[0-9]{4}', ignoreCase: false, stages, action },
];

/** The text in two deltas, cut at every place, then in deltas of one unit each, then whole. */
const SPLITS: readonly (readonly string[])[] = [
  ...Array.from({ length: TEXT.length - 1 }, (_, index) => [TEXT.slice(0, index + 1), TEXT.slice(index + 1)]),
  [...TEXT],
  [TEXT],
];

describe('a guarded reply', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [upstream(engine.url), upstream(engine.url, { name: 'ollama', kind: 'ollama' })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const use = (change: Partial<GuardSettings>): void => harness.publish({ guard: { ...GUARD, ...change } });
  const ask = async (dialect: GuardedCase, chunks: readonly Buffer[]): Promise<{ status: number; body: string }> => {
    engine.once(stream(chunks, { contentType: dialect.streamType }));
    const answer = await post(harness, dialect.path, dialect.body(true));
    return { status: answer.status, body: await answer.text() };
  };
  const askWhole = async (dialect: GuardedCase, text: string): Promise<{ status: number; body: string }> => {
    engine.once(answerJson(dialect.reply(text)));
    const answer = await post(harness, dialect.path, dialect.body(false));
    return { status: answer.status, body: await answer.text() };
  };
  const verdicts = (): string[] => (harness.entries.at(-1)?.verdicts ?? []).map(({ action }) => action);

  for (const dialect of GUARDED) {
    it(`${dialect.name}: shows the same of a blocked reply however it is cut, and nothing of the match`, async () => {
      use({ deny: deny('block') });
      for (const deltas of SPLITS) {
        const events = dialect.events(deltas);
        // Every event alone, and all of them at once.
        for (const chunks of deltas.length === 2 ? [events] : [events, [Buffer.concat(events)], cutEvery(Buffer.concat(events), 50)]) {
          const { status, body } = await ask(dialect, chunks);
          const what = `${dialect.name} ${JSON.stringify(deltas)}`;
          assert.equal(status, 200, what);
          assert.equal(dialect.textOf(body), BEFORE, what);
          assert.ok(!body.includes('XYZZY') && !body.includes(dialect.endMarker), what);
          assert.equal(dialect.errorOf(body), 'content_blocked', what);
          assert.deepEqual([harness.entries.at(-1)?.outcome, verdicts()], ['cut', ['block']]);
        }
      }
      const whole = await askWhole(dialect, TEXT);
      assert.deepEqual([whole.status, whole.body.includes('XYZZY')], [400, false]);
      assert.equal(harness.entries.at(-1)?.outcome, 'blocked');
    });

    for (const mode of ['transform', 'hold'] as const) {
      it(`${dialect.name}: redacts the same however it is cut, and leaves every other event as it came (${mode})`, async () => {
        use({ mode, deny: deny('redact') });
        const whole = await askWhole(dialect, TEXT);
        const expected = dialect.wholeText(whole.body);
        assert.ok(expected.startsWith(BEFORE) && expected.endsWith(AFTER) && !expected.includes('XYZZY'), expected);
        for (const deltas of SPLITS) {
          const events = dialect.events(deltas);
          const { status, body } = await ask(dialect, events);
          const what = `${dialect.name} ${JSON.stringify(deltas)}: ${body}`;
          assert.equal(status, 200);
          assert.equal(dialect.textOf(body), expected, what);
          assert.ok(!body.includes('XYZZY') && !body.includes('4711'), what);
          assert.ok(body.includes(dialect.endMarker), what);
          const untouched = events.filter((event) => !event.includes(WORD) && !/[XYZ4715-]/.test(dialect.textOf(event.toString())));
          for (const event of untouched) assert.ok(body.includes(event.toString()), `${what} lacks ${event.toString()}`);
          assert.deepEqual(verdicts(), ['redact']);
        }
      });
    }

    it(`${dialect.name}: only watches in observe mode, byte for byte, and holds all of it back in hold mode`, async () => {
      const events = dialect.events([TEXT.slice(0, 24), TEXT.slice(24)]);
      for (const action of ['block', 'redact', 'flag'] as const) {
        use({ mode: 'observe', deny: deny(action) });
        const { status, body } = await ask(dialect, events);
        assert.deepEqual([status, body], [200, Buffer.concat(events).toString()]);
        assert.deepEqual([harness.entries.at(-1)?.outcome, verdicts()], ['answered', ['flag']]);
        assert.equal((await askWhole(dialect, TEXT)).body, JSON.stringify(dialect.reply(TEXT)));
      }
      use({ mode: 'hold', deny: deny('block') });
      const held = await ask(dialect, events);
      assert.deepEqual([held.status, dialect.codeOf(held.body)], [400, 'content_blocked']);
      assert.ok(!held.body.includes(BEFORE) && !held.body.includes('XYZZY'));
      use({ mode: 'hold', deny: deny('flag') });
      const flagged = await ask(dialect, events);
      assert.equal(flagged.body, Buffer.concat(events).toString());
    });

    it(`${dialect.name}: answers a blocked request, or a reply blocked before it began, as a turn of the assistant where told to`, async () => {
      use({ onBlock: 'assistant', deny: deny('block', ['input']) });
      for (const streaming of [true, false]) {
        const count = engine.requests.length;
        const answer = await post(harness, dialect.path, dialect.body(streaming).replace('Hello', `Hello ${WORD}`));
        const body = await answer.text();
        assert.equal(answer.status, 200, body);
        assert.equal(engine.requests.length, count, 'the model was asked');
        assert.match(streaming ? dialect.textOf(body) : dialect.wholeText(body), /blocked/);
        assert.match(body, dialect.filtered);
        assert.ok(!body.includes('XYZZY'));
        assert.equal(harness.entries.at(-1)?.outcome, 'blocked');
      }
      use({ onBlock: 'assistant', mode: 'hold', deny: deny('block') });
      const { status, body } = await ask(dialect, dialect.events([TEXT]));
      assert.equal(status, 200);
      assert.match(dialect.textOf(body), /blocked/);
      assert.ok(!body.includes(BEFORE.trim()) && !body.includes('XYZZY'), body);
    });

    for (const [kind, make] of Object.entries(dialect.others)) {
      it(`${dialect.name}: inspects ${kind} as well`, async () => {
        use({ deny: deny('block') });
        for (const cut of [5, BEFORE.length, BEFORE.length + 3, BEFORE.length + 9, TEXT.length - 2]) {
          const { body } = await ask(dialect, make([TEXT.slice(0, cut), TEXT.slice(cut)]));
          assert.ok(!body.includes('XYZZY') && !body.includes('4711') && !body.includes(dialect.endMarker), `${cut}: ${body}`);
          assert.equal(dialect.errorOf(body), 'content_blocked');
        }
        use({ deny: deny('redact') });
        for (const cut of [5, BEFORE.length + 3, TEXT.length - 2]) {
          const { body } = await ask(dialect, make([TEXT.slice(0, cut), TEXT.slice(cut)]));
          assert.ok(!body.includes('XYZ') && !body.includes('4711'), body);
          assert.ok(body.includes(dialect.endMarker), body);
        }
      });
    }
  }

  it('keeps the choices of a reply apart', async () => {
    const chunk = (index: number, content: string): Buffer =>
      Buffer.from(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'chat', choices: [{ index, delta: { content }, finish_reason: null }] })}\n\n`,
      );
    const textOf = (body: string, index: number): string =>
      body
        .split('\n')
        .filter((line) => line.startsWith('data: {'))
        .flatMap((line) => JSON.parse(line.slice(6)).choices ?? [])
        .filter((choice) => choice.index === index)
        .map((choice) => choice.delta.content)
        .join('');
    const [dialect = assert.fail()] = GUARDED;
    for (let cut = 1; cut < TEXT.length; cut += 1) {
      // Half a word in either choice is no word.
      const events = [
        chunk(0, 'XYZZY-'),
        chunk(1, '4711 '),
        chunk(0, 'x'),
        chunk(1, TEXT.slice(0, cut)),
        chunk(0, ' fine '),
        chunk(1, TEXT.slice(cut)),
        chunk(0, 'too'),
        Buffer.from('data: [DONE]\n\n'),
      ];
      use({ deny: deny('redact') });
      const redacted = await ask(dialect, events);
      assert.equal(textOf(redacted.body, 0), 'XYZZY-x fine too');
      assert.ok(textOf(redacted.body, 1).startsWith(`4711 ${BEFORE}`) && !textOf(redacted.body, 1).includes('XYZZY'));
      use({ deny: deny('block') });
      const blocked = await ask(dialect, events);
      assert.equal(textOf(blocked.body, 1), `4711 ${BEFORE}`);
      assert.ok('XYZZY-x fine too'.startsWith(textOf(blocked.body, 0)));
    }
  });

  it('bounds what waits behind an undecided text, and how many texts a reply may have', async () => {
    const chunk = (index: number, content: string): Buffer =>
      Buffer.from(`data: ${JSON.stringify({ model: 'chat', choices: [{ index, delta: { content }, finish_reason: null }] })}\n\n`);
    const [dialect = assert.fail()] = GUARDED;
    use({ deny: deny('redact') });
    const flood = Array.from({ length: 400 }, () => chunk(1, 'x'.repeat(60_000)));
    const held = await ask(dialect, [chunk(2, 'first'), chunk(0, 'XYZZY'), ...flood]);
    assert.equal(dialect.errorOf(held.body), 'upstream_error');
    assert.ok(held.body.length < 20_000_000);
    for (const text of ['a', 'X']) {
      const texts = Array.from({ length: 6_000 }, (_, index) => chunk(index, text));
      const many = await ask(dialect, [chunk(0, 'first '), ...texts]);
      assert.equal(dialect.errorOf(many.body), 'upstream_error');
    }
  });
});
