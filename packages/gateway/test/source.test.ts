import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, chatReply, rawExchange, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';

describe('where a request comes from', () => {
  let engine: ScriptedUpstream;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  });
  after(() => engine[Symbol.asyncDispose]());

  const start = (trustedProxies: readonly string[]): Promise<Harness> =>
    startHarness({ upstreams: [upstream(engine.url)], snapshot: { http: { ...HTTP, trustedProxies } } });
  const ask = async (harness: Harness, forwarded: readonly (readonly [string, string])[], key = harness.key): Promise<number> => {
    const headers: (readonly [string, string])[] = [['content-type', 'application/json'], ['authorization', `Bearer ${key}`], ...forwarded];
    return (await rawExchange({ port: harness.port }, requestBytes({ target: CHAT, headers, body: chatBody() }))).status;
  };
  const ip = (harness: Harness): string | undefined => harness.entries.at(-1)?.source?.ip;

  it('is the peer, whatever the headers say, where no proxy is trusted', async () => {
    await using harness = await start([]);
    for (const headers of [
      [['x-forwarded-for', '203.0.113.7']],
      [['forwarded', 'for=203.0.113.7']],
      [['x-real-ip', '203.0.113.7']],
      [['true-client-ip', '203.0.113.7']],
    ] as [string, string][][]) {
      assert.equal(await ask(harness, headers), 200);
      assert.equal(ip(harness), '127.0.0.1');
    }
  });

  it('is what the nearest untrusted hop was, as trusted proxies tell it', async () => {
    await using harness = await start(['127.0.0.0/8', '10.0.0.0/8']);
    const cases: [[string, string][], string][] = [
      [[], '127.0.0.1'],
      [[['x-forwarded-for', '203.0.113.7']], '203.0.113.7'],
      [[['x-forwarded-for', '203.0.113.7, 10.0.0.5']], '203.0.113.7'],
      // What the client itself put in front is not believed.
      [[['x-forwarded-for', '127.0.0.1, 198.51.100.9, 203.0.113.7']], '203.0.113.7'],
      [
        [
          ['x-forwarded-for', '198.51.100.9'],
          ['x-forwarded-for', '203.0.113.7'],
        ],
        '203.0.113.7',
      ],
      [[['x-forwarded-for', '2001:db8::7']], '2001:db8::7'],
    ];
    for (const [headers, expected] of cases) {
      assert.equal(await ask(harness, headers), 200);
      assert.equal(ip(harness), expected, JSON.stringify(headers));
    }
    for (const garbage of ['evil', '203.0.113.7.evil', '"><script>', '999.1.1.1', ',,,', 'unknown']) {
      assert.equal(await ask(harness, [['x-forwarded-for', garbage]]), 200);
      assert.match(ip(harness) ?? '', /^[0-9a-f.:]+$/, garbage);
    }
  });

  it('cannot be forged past the addresses a key may be used from', async () => {
    await using harness = await start([]);
    const key = harness.addKey({ allowedIps: ['203.0.113.0/24'] });
    const local = harness.addKey({ allowedIps: ['127.0.0.1/32'] });
    harness.publish({});
    assert.equal(await ask(harness, [['x-forwarded-for', '203.0.113.7']], key), 401);
    assert.equal(await ask(harness, [], local), 200);
  });

  it('is counted, not written down one by one, for callers nobody knows', async () => {
    const harness = await start(['127.0.0.0/8']);
    for (let i = 0; i < 150; i += 1) assert.equal(await ask(harness, [['x-forwarded-for', `198.51.100.${i}`]], 'sp_live_nonsense'), 401);
    await harness[Symbol.asyncDispose]();
    assert.ok(harness.entries.length <= 65, String(harness.entries.length));
    assert.ok(harness.entries.every(({ kind, principal }) => kind === 'auth' && principal === null));
    const counted = harness.entries.flatMap(({ detail }) => Object.values(detail)).reduce((sum: number, count) => sum + Number(count), 0);
    assert.equal(counted, 150);
  });
});
