import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { answer, answerJson, chatReply, RawConnection, raw, ScriptedUpstream, stream } from '@sallyport/testkit';
import { ENDPOINTS } from '@sallyport/wire';
import fc from 'fast-check';
import { DIALECTS } from './dialects.ts';
import { chatBody, GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const POSTS = ENDPOINTS.filter(({ method }) => method === 'POST').map(({ path }) => path);
const RUNS = { numRuns: 120 };

/** A well-formed text with some bytes changed, put in, taken out or repeated. */
function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const damage = fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 4 }) });
  return fc.tuple(text, fc.array(damage, { minLength: 1, maxLength: 5 })).map(([whole, damages]) => {
    let bytes = Buffer.from(whole);
    for (const { at, remove, insert } of damages) {
      const place = bytes.length === 0 ? 0 : at % bytes.length;
      bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
    }
    return bytes;
  });
}

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
/** JSON with the members a request has, of any type. */
const shaped = fc
  .record(
    {
      model: fc.oneof(fc.constant('chat'), fc.json()),
      messages: fc.array(fc.record({ role: fc.constantFrom('user', 'system', 'tool', 'x'), content: fc.jsonValue() }), { maxLength: 3 }),
      prompt: fc.jsonValue(),
      input: fc.jsonValue(),
      tools: fc.jsonValue(),
      max_tokens: fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
      stream: fc.oneof(fc.boolean(), fc.jsonValue()),
      options: fc.jsonValue(),
    },
    { requiredKeys: ['model'] },
  )
  .map((value) => Buffer.from(JSON.stringify(value)));

describe('whatever comes', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    const timeouts = { connect: 500, firstByte: 1_000, idle: 1_000, total: 3_000 };
    const deny = { name: 'word', pattern: 'se+cret', ignoreCase: true, stages: ['input', 'output'] as const, action: 'redact' as const };
    harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts }), upstream(engine.url, { name: 'ollama', kind: 'ollama', timeouts })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
      snapshot: { guard: { ...GUARD, deny: [deny] } },
    });
  });
  afterEach(async () => {
    assert.deepEqual(
      harness.log.filter(({ event }) => event === 'exchange.defect' || event === 'exchange.lost'),
      [],
    );
    engine.behaviour = answerJson(chatReply('Hi', 'chat'));
    assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 200);
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  /** An answer that says what it is: never a 500, and JSON where it is an error. */
  const settle = async (path: string, body: Buffer): Promise<void> => {
    const answered = await post(harness, path, body);
    const text = await answered.text().catch(() => null); // a stream that was cut
    assert.notEqual(answered.status, 500, text ?? '');
    if (answered.status !== 200) assert.doesNotThrow(() => JSON.parse(text ?? ''), text ?? 'cut');
  };

  it('as a body, it is answered', async () => {
    const good = fc.constantFrom(...DIALECTS.map((dialect) => dialect.body(true)), ...DIALECTS.map((dialect) => dialect.body(false)));
    const body = fc.oneof(
      bytes,
      shaped,
      fc.json().map((json) => Buffer.from(json)),
      damaged(good),
      damaged(shaped.map(String)),
    );
    await fc.assert(fc.asyncProperty(fc.constantFrom(...POSTS), body, settle), { numRuns: 400 });
  });

  it('as a path, it is answered', async () => {
    const path = fc.oneof(
      fc.webPath(),
      fc.string({ unit: 'grapheme-ascii', maxLength: 60 }).map((text) => `/${text.replaceAll(/[\s#]/g, '')}`),
      fc
        .tuple(
          fc.constantFrom(...ENDPOINTS.map((endpoint) => endpoint.path)),
          fc.constantFrom('/', '//', '%2e', '?', ';a', '%00', '/..', '%zz'),
        )
        .map((parts) => parts.join('')),
    );
    await fc.assert(
      fc.asyncProperty(path, fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'OPTIONS', 'HEAD', 'PATCH'), async (target, method) => {
        const head = `${method} ${target.startsWith('/') ? target : `/${target}`} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${harness.key}\r\ncontent-length: 0\r\n\r\n`;
        await using connection = await RawConnection.open({ port: harness.port });
        await connection.send(head);
        const answered = await connection.next(method, 5_000);
        assert.ok(answered.status < 500, `${method} ${target}: ${answered.status}`);
      }),
      RUNS,
    );
  });

  it('on a connection, it ends with an answer or the connection', async () => {
    const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, damaged(fc.constant(request))), async (sent) => {
        const count = engine.requests.length;
        await using connection = await RawConnection.open({ port: harness.port });
        await connection.send(sent);
        connection.finish();
        await connection.waitForClose(5_000);
        assert.equal(engine.requests.length, count);
      }),
      RUNS,
    );
  });

  it('as the reply of an upstream, it is a reply or a clean failure', async () => {
    const dialect = fc.constantFrom(...DIALECTS);
    const text = fc.string({ maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        dialect,
        fc.boolean(),
        fc.array(text, { maxLength: 4 }),
        bytes,
        fc.nat(),
        fc.nat(4),
        async (one, streaming, texts, noise, seed, kind) => {
          const json = { 'content-type': 'application/json' };
          const events = Buffer.concat(one.events(texts));
          const place = seed % (events.length + 1);
          const mixed = Buffer.concat([events.subarray(0, place), noise.subarray(0, seed % 8), events.subarray(place)]);
          const size = 1 + (seed % 40);
          const chunks = Array.from({ length: Math.ceil(mixed.length / size) }, (_, index) =>
            mixed.subarray(index * size, (index + 1) * size),
          );
          engine.once(
            [
              answer(200, json, noise),
              raw(noise),
              answer(200, json, JSON.stringify(one.reply(texts.join(''))).slice(0, seed % 600)),
              stream(chunks, { contentType: one.streamType }),
              stream(chunks, { contentType: one.streamType, ending: 'cut' }),
            ][kind] ?? raw(noise),
          );
          await settle(one.path, Buffer.from(one.body(streaming)));
        },
      ),
      { numRuns: 250 },
    );
  });
});
