import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { type Meter, silentMeter } from '@sallyport/core';
import { answerJson, chatReply, eventually, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, post, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const timeouts = { connect: 500, firstByte: 20_000, idle: 20_000, total: 30_000 };

describe('a server that many wait for', () => {
  it('serves another tenant in its turn under a flood of 500, and says how long the wait was', async () => {
    const order: string[] = [];
    await using engine = await ScriptedUpstream.start({
      behaviour: async (exchange) => {
        order.push(JSON.parse((await exchange.request.body).toString()).user);
        // Long enough for a line to form.
        await new Promise((resolve) => setTimeout(resolve, 10));
        await answerJson(chatReply('Hi', 'chat'))(exchange);
      },
    });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts, maxConcurrency: 4, queue: { perSlot: 200, wait: 20_000, slowClient: 10_000 } })],
    });
    const quiet = harness.addKey({ tenant: 'quiet' });
    const flood = Array.from({ length: 500 }, (_, index) => post(harness, CHAT, chatBody({ user: `flood-${index}` })));
    await eventually('the flood has begun', () => order.length >= 20);
    const before = order.length;
    const answers = await Promise.all(
      [0, 1, 2, 3].map((index) => post(harness, CHAT, chatBody({ user: `quiet-${index}` }), { authorization: `Bearer ${quiet}` })),
    );
    // By then each of the four has been served in its turn, every second place at the latest, but for those already under way.
    const after = order.slice(before);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    const lastQuiet = Math.max(...[0, 1, 2, 3].map((index) => after.indexOf(`quiet-${index}`)));
    assert.ok(lastQuiet < 60, `the last of four was ${lastQuiet}th of ${after.length} while ${500 - before} waited`);
    const all = await Promise.all(flood);
    assert.equal(all.filter(({ status }) => status === 200).length, 500);
    const waited = all.filter(({ headers }) => headers.has('x-sallyport-queue-wait-ms'));
    assert.ok(waited.length >= 100, String(waited.length));
    assert.ok(waited.every(({ headers }) => Number(headers.get('x-sallyport-queue-position')) >= 1));
  });

  it('serves by the weights and priorities of the configuration, which no header of a client changes', async () => {
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    let inFlight = 0;
    const meter: Meter = {
      ...silentMeter,
      inFlight: (change) => {
        inFlight += change;
      },
    };
    await using engine = await ScriptedUpstream.start({
      behaviour: async (exchange) => {
        order.push(JSON.parse((await exchange.request.body).toString()).user);
        await gate.promise;
        await answerJson(chatReply('Hi', 'chat'))(exchange);
      },
    });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts, maxConcurrency: 1, queue: { perSlot: 200, wait: 20_000, slowClient: 10_000 } })],
      options: { meter },
      snapshot: {
        fairness: {
          tenants: [{ name: 'large', weight: 3 }],
          priorities: [{ name: 'urgent', weight: 100, roles: ['owner'] }],
        },
      },
    });
    const bearer = (tenant: string, roles: readonly string[] = ['inference-only']): Record<string, string> => ({
      authorization: `Bearer ${harness.addKey({ tenant, roles })}`,
    });
    const callers = {
      small: { ...bearer('small'), priority: 'u=0', 'x-priority': 'urgent' },
      large: bearer('large'),
      urgent: bearer('small', ['owner']),
    };
    harness.publish({});
    const first = post(harness, CHAT, chatBody({ user: 'first' }));
    await eventually('the slot is taken', () => order.length === 1);
    const ask = (caller: keyof typeof callers): Promise<Response> => post(harness, CHAT, chatBody({ user: caller }), callers[caller]);
    const waiting = Array.from({ length: 8 }, () => [ask('small'), ask('large')]).flat();
    waiting.push(ask('urgent'));
    await eventually('all have come', () => inFlight === 18);
    // What comes after them is answered, so they are in line.
    for (let i = 0; i < 3; i += 1) assert.equal((await post(harness, CHAT, chatBody({ model: 'none' }))).status, 404);
    gate.resolve();
    for (const { status } of await Promise.all([first, ...waiting])) assert.equal(status, 200);
    // The class that came first has one call before it: none had used anything yet.
    assert.ok(order.indexOf('urgent') <= 2, order.join(' '));
    const others = order.slice(1).filter((caller) => caller !== 'urgent');
    const share = others.slice(0, 8).filter((caller) => caller === 'large').length;
    assert.equal(share, 6, order.join(' '));
  });

  it('keeps the last free slot for a tenant that has asked of late, and no longer', async () => {
    const gate = Promise.withResolvers<void>();
    await using engine = await ScriptedUpstream.start({
      behaviour: async (exchange) => {
        if (String(await exchange.request.body).includes('flood')) await gate.promise;
        await answerJson(chatReply('Hi', 'chat'))(exchange);
      },
    });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts, maxConcurrency: 4, queue: { perSlot: 200, wait: 20_000, slowClient: 10_000 } })],
    });
    const quiet = { authorization: `Bearer ${harness.addKey({ tenant: 'quiet' })}` };
    assert.equal((await post(harness, CHAT, chatBody(), quiet)).status, 200);
    const flood = Array.from({ length: 20 }, () => post(harness, CHAT, chatBody({ user: 'flood' })));
    await eventually('the flood holds what it gets', () => engine.requests.length === 4);
    for (let i = 0; i < 5; i += 1) {
      assert.equal((await post(harness, CHAT, chatBody(), quiet)).status, 200);
    }
    // While the flood held all it had: nobody had to end for them.
    assert.equal(engine.requests.length, 9);
    await eventually('nobody came for it: the flood has it too', () => engine.requests.length === 10, 5_000);
    gate.resolve();
    for (const { status } of await Promise.all(flood)) assert.equal(status, 200);
  });

  it('refuses at once where the line is full, from the tenant that fills it, with a time to come back', async () => {
    const gate = Promise.withResolvers<void>();
    await using engine = await ScriptedUpstream.start({
      behaviour: async (exchange) => {
        await gate.promise;
        await answerJson(chatReply('Hi', 'chat'))(exchange);
      },
    });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts, maxConcurrency: 2, queue: { perSlot: 5, wait: 20_000, slowClient: 10_000 } })],
    });
    const quiet = harness.addKey({ tenant: 'quiet' });
    const flood = Array.from({ length: 40 }, () => post(harness, CHAT, chatBody()));
    await eventually('the server is busy', () => engine.requests.length === 2);
    await eventually('the line is full', () => harness.entries.filter(({ fault }) => fault === 'concurrency_exceeded').length === 28);
    const mine = post(harness, CHAT, chatBody(), { authorization: `Bearer ${quiet}` });
    await eventually(
      'one of the flood made place',
      () => harness.entries.filter(({ fault }) => fault === 'concurrency_exceeded').length === 29,
    );
    gate.resolve();
    assert.equal((await mine).status, 200);
    const refused = (await Promise.all(flood)).filter(({ status }) => status === 429);
    assert.equal(refused.length, 29);
    for (const { headers } of refused) assert.ok(Number(headers.get('retry-after')) >= 1);
  });

  it('a client that reads slowly holds no slot while the server is done, and is cut where it keeps others waiting', async () => {
    const piece = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'chat', choices: [{ index: 0, delta: { content: 'x'.repeat(8_000) }, finish_reason: null }] })}\n\n`;
    let pieces = 300;
    await using engine = await ScriptedUpstream.start({
      behaviour: async ({ request, response, signal }) => {
        const body = JSON.parse((await request.body).toString());
        if (body.stream !== true) {
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(chatReply('Hi', 'chat')));
          return;
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (let i = 0; i < pieces && !signal.aborted; i += 1) {
          if (!response.write(piece)) await once(response, 'drain', { signal }).catch(() => undefined);
        }
        response.end('data: [DONE]\n\n');
      },
    });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts, maxConcurrency: 1, queue: { perSlot: 5, wait: 20_000, slowClient: 200 } })],
      // The cut must be the queue's, not the connection's own.
      snapshot: {},
    });
    const ask = async (): Promise<RawConnection> => {
      const connection = await RawConnection.open({ port: harness.port });
      const headers: [string, string][] = [
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${harness.key}`],
      ];
      await connection.send(requestBytes({ target: CHAT, headers, body: chatBody({ stream: true }) }));
      await connection.waitFor('xxx');
      connection.socket.pause();
      return connection;
    };
    // 2.4 MB fit into what is kept for it: the next is served although the first has read nothing.
    await using first = await ask();
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    assert.ok(first.received.length < 2_000_000);
    first.socket.resume();
    await first.waitFor('[DONE]');
    // 40 MB do not.
    pieces = 5_000;
    await using second = await ask();
    assert.equal((await post(harness, CHAT, chatBody())).status, 200);
    second.socket.resume();
    await second.closed;
    await eventually('the ledger says why', () => harness.entries.some(({ detail }) => detail['reason'] === 'slow reader'));
  });
});
