import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Limiter, MemoryStore } from '@sallyport/access';
import { type LimitRule, type Meter, silentMeter, systemClock } from '@sallyport/core';
import { answerJson, chatReply, eventually, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { DIALECTS } from './dialects.ts';
import { chatBody, type Harness, HTTP, post, RISK, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
let name = 0;

function rule(change: Partial<LimitRule> = {}): LimitRule {
  name += 1;
  return { name: `rule-${name}`, per: 'key', quantity: 'requests', amount: 1, window: 60_000, models: null, ...change };
}

const idOf = (key: string): string => key.split('_')[2] ?? '';

describe('who is over a limit on requests', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  const refusals: string[] = [];
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    const meter: Meter = { ...silentMeter, limitRefusal: (rule) => void refusals.push(rule) };
    harness = await startHarness({ upstreams: [upstream(engine.url)], options: { meter } });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  /** A key that has used up what `limits` allow, and was told so once. */
  const exhausted = async (limits: readonly LimitRule[]): Promise<string> => {
    const key = harness.addKey({ tenant: `tenant-${name}` });
    harness.publish({ limits });
    const authorization = { authorization: `Bearer ${key}` };
    for (let i = 0; i < (limits[0]?.amount ?? 0); i += 1) assert.equal((await post(harness, CHAT, chatBody(), authorization)).status, 200);
    assert.equal((await post(harness, CHAT, chatBody(), authorization)).status, 429);
    return key;
  };
  const head = (key: string, length: number, more: readonly (readonly [string, string])[] = [], target = CHAT): string =>
    [
      `POST ${target} HTTP/1.1`,
      'host: localhost',
      'content-type: application/json',
      `authorization: Bearer ${key}`,
      ...(length < 0 ? [] : [`content-length: ${length}`]),
      ...more.map(([field, value]) => `${field}: ${value}`),
      '\r\n',
    ].join('\r\n');

  it('is refused before its body has come, in its dialect, with the time to come back and an entry in the ledger', async () => {
    const limit = rule();
    const key = await exhausted([limit]);
    for (const { path, codeOf } of DIALECTS) {
      const before = [harness.entries.length, refusals.length];
      await using connection = await RawConnection.open({ port: harness.port });
      await connection.send(head(key, 900_000, [], path));
      const answer = await connection.next();
      assert.deepEqual([answer.status, codeOf(answer.body.toString())], [429, 'rate_limit_exceeded']);
      assert.ok(Number(answer.header('retry-after')) >= 1);
      assert.deepEqual([answer.header('x-ratelimit-limit-requests'), answer.header('x-ratelimit-remaining-requests')], ['1', '0']);
      // What has not come is not waited for.
      assert.equal(answer.header('connection'), 'close');
      await connection.waitForClose();
      const entry = harness.entries.at(-1);
      assert.deepEqual([harness.entries.length, refusals.length], [(before[0] ?? 0) + 1, (before[1] ?? 0) + 1]);
      assert.deepEqual([entry?.outcome, entry?.fault, entry?.detail['reason']], ['refused', 'rate_limit_exceeded', limit.name]);
      assert.equal(entry?.principal?.tenant, harness.keys.get(idOf(key))?.tenant);
    }
  });

  it('keeps its connection where the body is short, whose bytes are never taken for a request', async () => {
    const key = await exhausted([rule()]);
    const smuggled = requestBytes({ target: '/health/live', method: 'GET', headers: [] });
    for (const body of [chatBody(), smuggled.toString('latin1'), `{${'\r\n'.repeat(20_000)}`]) {
      await using connection = await RawConnection.open({ port: harness.port });
      // Refused before a byte of the body has come, which then comes in pieces, and a sound request behind it.
      await connection.send(head(key, body.length));
      const refused = await connection.next();
      assert.deepEqual([refused.status, refused.header('connection')], [429, 'keep-alive']);
      const bytes = Buffer.from(body + smuggled.toString('latin1'), 'latin1');
      for (const [from, to] of [
        [0, 1],
        [1, body.length - 1],
        [body.length - 1, body.length + 3],
        [body.length + 3, bytes.length],
      ] as const)
        await connection.send(bytes.subarray(from, to));
      assert.equal((await connection.next('GET')).status, 200, 'the request behind it');
      connection.finish();
      await connection.waitForClose();
      assert.equal(connection.unread.length, 0, 'two answers for two requests');
    }
  });

  it('is closed where the length is not known, or the body was only announced', async () => {
    const key = await exhausted([rule()]);
    for (const more of [['transfer-encoding', 'chunked'] as const, ['expect', '100-continue'] as const]) {
      await using connection = await RawConnection.open({ port: harness.port });
      await connection.send(head(key, more[0] === 'expect' ? 200 : -1, [more]));
      const answer = await connection.next();
      assert.deepEqual([answer.status, answer.header('connection')], [429, 'close'], 'and no 100 before it');
      await connection.waitForClose();
    }
  });

  it('holds nobody else up, reserves nothing, and is let in again by an operator, by a larger amount, and by time', async () => {
    const limits = [rule({ window: 1_500 }), rule({ quantity: 'tokens', amount: 400, per: 'tenant' })];
    const key = await exhausted(limits);
    const authorization = { authorization: `Bearer ${key}` };
    const ask = async (headers: Record<string, string>, max_tokens = 10): Promise<number> =>
      (await post(harness, CHAT, chatBody({ max_tokens }), headers)).status;
    // Each would take most of what the other limit has, were it asked for.
    for (let i = 0; i < 5; i += 1) assert.equal(await ask(authorization, 300), 429);
    const other = harness.addKey({ tenant: harness.keys.get(idOf(key))?.tenant ?? assert.fail() });
    harness.publish({});
    assert.equal(await ask({ authorization: `Bearer ${other}` }, 300), 200, 'another key of the tenant');
    const [first, ...rest] = limits;
    harness.publish({ limits: [{ ...(first ?? assert.fail()), amount: 2 }, ...rest] });
    assert.equal(await ask(authorization), 200, 'a larger amount');
    assert.equal(await ask(authorization), 429);
    await eventually('there is room again', async () => (await ask(authorization)) === 200, 10_000);
  });

  it('learns nothing of what others had left, who are counted in the same bucket', async () => {
    const first = harness.addKey({ tenant: 'one' });
    const second = harness.addKey({ tenant: 'other' });
    harness.publish({ limits: [rule({ per: 'tenant', quantity: 'tokens', amount: 10_000 }), rule({ per: 'global' })] });
    const ask = (key: string): Promise<Response> => post(harness, CHAT, chatBody({ max_tokens: 300 }), { authorization: `Bearer ${key}` });
    assert.equal((await ask(first)).status, 200);
    assert.equal((await ask(first)).headers.get('x-ratelimit-remaining-tokens') === null, false, 'its own is told');
    const turnedAway = await ask(second);
    assert.equal(turnedAway.status, 429);
    assert.equal(turnedAway.headers.get('x-ratelimit-remaining-requests'), '0');
    assert.equal(turnedAway.headers.get('x-ratelimit-remaining-tokens'), null);
  });

  it('does not keep its connection while the gateway drains, however little of the body has come', { timeout: 20_000 }, async () => {
    const http = { ...HTTP, keepAliveTimeout: 60_000 };
    await using draining = await startHarness({ upstreams: [upstream(engine.url)], snapshot: { http } });
    const key = draining.addKey({});
    draining.publish({ limits: [rule()] });
    const authorization = { authorization: `Bearer ${key}` };
    for (const status of [200, 429]) assert.equal((await post(draining, CHAT, chatBody(), authorization)).status, status);
    await using connection = await RawConnection.open({ port: draining.port });
    await connection.send(head(key, 900));
    assert.equal((await connection.next()).header('connection'), 'keep-alive');
    await draining.gateway.drain(60_000);
    await connection.waitForClose();
  });

  it('is let in a second at most after an operator has emptied the bucket elsewhere', { timeout: 20_000 }, async () => {
    const counters = new MemoryStore(systemClock);
    await using serving = await startHarness({ upstreams: [upstream(engine.url)], options: { counters } });
    const key = serving.addKey({});
    const limit = rule({ window: 3_600_000 });
    serving.publish({ limits: [limit] });
    const ask = async (): Promise<number> => (await post(serving, CHAT, chatBody(), { authorization: `Bearer ${key}` })).status;
    assert.deepEqual([await ask(), await ask()], [200, 429]);
    const operator = new Limiter(counters);
    const credential = { kind: 'api-key' as const, id: idOf(key), expiresAt: null };
    const principal = { id: 'app', kind: 'application' as const, tenant: 'acme', user: null, team: null, roles: [], credential };
    const subject = { principal, model: null, upstream: null, session: null, price: null, address: '127.0.0.1' };
    const rules = { rules: [limit], keyRules: () => [] };
    const [standing] = await operator.standings(rules, subject);
    assert.equal(standing?.used, 1);
    await operator.clear([standing.claim]);
    await eventually('it is let in', async () => (await ask()) === 200, 5_000);
    assert.equal(await ask(), 429, 'one was what there was');
  });

  it('is not judged by the head alone where the limit is by model', async () => {
    const key = await exhausted([rule({ models: ['chat'] })]);
    const answer = await post(harness, CHAT, chatBody({ model: 'nothing' }), { authorization: `Bearer ${key}` });
    assert.equal(answer.status, 404);
  });

  it('and who is kept out for what it did before is not read either', async () => {
    const key = harness.addKey({});
    harness.publish({ limits: [], risk: { ...RISK, enabled: true, blockAt: 10, points: { ...RISK.points, enumeration: 100 } } });
    const authorization = { authorization: `Bearer ${key}` };
    assert.equal((await post(harness, CHAT, chatBody({ model: 'guess' }), authorization)).status, 404);
    await using connection = await RawConnection.open({ port: harness.port });
    await connection.send(head(key, 900_000));
    const answer = await connection.next();
    assert.deepEqual([answer.status, answer.header('connection')], [403, 'close']);
    assert.ok(Number(answer.header('retry-after')) >= 1);
    await connection.waitForClose();
    harness.publish({ risk: RISK });
  });
});
