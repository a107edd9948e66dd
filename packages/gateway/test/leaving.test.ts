import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  answerJson,
  type Behaviour,
  eventually,
  hangBeforeHeaders,
  hangMidBody,
  RawConnection,
  type RecordedRequest,
  requestBytes,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { DIALECTS, type DialectCase } from './dialects.ts';
import { type Harness, post, route, startHarness, upstream } from './harness.ts';

describe('a client that leaves', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    const timeouts = { connect: 500, firstByte: 8_000, idle: 8_000, total: 20_000 };
    harness = await startHarness({
      upstreams: [
        upstream(engine.url, { timeouts, maxConcurrency: 1 }),
        upstream(engine.url, { name: 'ollama', kind: 'ollama', timeouts, maxConcurrency: 1 }),
      ],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
      snapshot: {
        limits: [{ name: 'one', per: 'key', quantity: 'concurrency', amount: 2, window: 0, models: null }],
      },
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const connect = async (dialect: DialectCase, streaming: boolean): Promise<RawConnection> => {
    const connection = await RawConnection.open({ port: harness.port });
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${harness.key}`],
    ];
    await connection.send(requestBytes({ target: dialect.path, headers, body: dialect.body(streaming) }));
    return connection;
  };
  const arrive = async (behaviour: Behaviour, dialect: DialectCase, streaming: boolean): Promise<[RawConnection, RecordedRequest]> => {
    const count = engine.requests.length;
    engine.once(behaviour);
    const connection = await connect(dialect, streaming);
    await eventually('the request reaches the engine', () => engine.requests.length > count);
    const request = engine.requests.at(-1) ?? assert.fail();
    await request.body;
    return [connection, request];
  };
  /** The engine is told, the ledger knows, and slots and limits are free: the next request is served. */
  const assertEnded = async (request: RecordedRequest, dialect: DialectCase, entries: number): Promise<void> => {
    await request.left;
    await eventually('the exchange is recorded', () => harness.entries.length > entries);
    assert.equal(harness.entries.at(-1)?.outcome, 'abandoned');
    assert.equal(harness.entries.at(-1)?.fault, 'client_closed_request');
    engine.once(answerJson(dialect.reply('Hi')));
    const next = await post(harness, dialect.path, dialect.body(false));
    assert.equal(next.status, 200, await next.text());
  };

  for (const dialect of DIALECTS) {
    const events = dialect.events(['one', 'two']);
    const plan = { contentType: dialect.streamType, ending: 'hang' } as const;
    const stages: [name: string, behaviour: Behaviour, streaming: boolean, seen: string | null][] = [
      ['before the head of a whole answer', hangBeforeHeaders(), false, null],
      ['before the head of a stream', hangBeforeHeaders(), true, null],
      ['before the first token', stream([], plan), true, null],
      ['in a stream', stream(events.slice(0, -1), plan), true, 'one'],
      ['in a whole answer', hangMidBody('{"id":'), false, null],
    ];
    for (const [name, behaviour, streaming, seen] of stages) {
      for (const how of ['reset', 'finish'] as const) {
        it(`${dialect.name}: ${name} (${how}) ends the call at the engine`, async () => {
          const entries = harness.entries.length;
          const [connection, request] = await arrive(behaviour, dialect, streaming);
          await using _closing = connection;
          if (seen !== null) await connection.waitFor(seen);
          connection[how]();
          await assertEnded(request, dialect, entries);
        });
      }
    }
  }

  it('gives up its place in the queue for a slot', async () => {
    const [dialect = assert.fail()] = DIALECTS;
    const abandoned = (): number => harness.entries.filter(({ outcome }) => outcome === 'abandoned').length;
    const before = abandoned();
    const [first, running] = await arrive(hangBeforeHeaders(), dialect, true);
    await using _first = first;
    const count = engine.requests.length;
    const waiting = await connect(dialect, true);
    await using _waiting = waiting;
    const models = (): Promise<Response> => fetch(`${harness.url}/v1/models`, { headers: { authorization: `Bearer ${harness.key}` } });
    await eventually('both are admitted', async () => (await models()).status === 429);
    waiting.reset();
    await eventually('the waiting one is recorded', () => abandoned() === before + 1);
    await eventually('its limit is free', async () => (await models()).status === 200);
    assert.equal(engine.requests.length, count, 'it never reached the engine');
    first.reset();
    await assertEnded(running, dialect, harness.entries.length);
    assert.equal(abandoned(), before + 2);
  });

  it('costs nothing where the body never came', async () => {
    const [dialect = assert.fail()] = DIALECTS;
    const count = engine.requests.length;
    const entries = harness.entries.length;
    await using connection = await RawConnection.open({ port: harness.port });
    const whole = requestBytes({
      target: dialect.path,
      headers: [
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${harness.key}`],
      ],
      body: dialect.body(true),
    });
    await connection.send(whole.subarray(0, -5));
    await eventually('the head is read', async () => (await post(harness, '/nowhere', '{}')).status === 404);
    connection.reset();
    await eventually('the exchange is recorded', () => harness.entries.length > entries);
    assert.equal(harness.entries.at(-1)?.outcome, 'abandoned');
    assert.equal(engine.requests.length, count);
  });

  it('leaves no defect in the log', () => {
    assert.deepEqual(
      harness.log.filter(({ event }) => event.startsWith('exchange.')),
      [],
    );
  });
});
