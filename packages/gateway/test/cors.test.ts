import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  answerJson,
  chatReply,
  chatStream,
  RawConnection,
  type RawResponse,
  rawExchange,
  requestBytes,
  ScriptedUpstream,
  stream,
} from '@sallyport/testkit';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
const LISTED = 'https://app.example';

describe('CORS', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({ upstreams: [upstream(engine.url)], snapshot: { http: { ...HTTP, corsOrigins: [LISTED] } } });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const send = (method: string, headers: readonly (readonly [string, string])[], target = CHAT, body = ''): Promise<RawResponse> =>
    rawExchange({ port: harness.port }, requestBytes({ method, target, headers, body }), method);
  const ask = (origin: string, key = harness.key, change: Record<string, unknown> = {}): Promise<RawResponse> =>
    send(
      'POST',
      [
        ['origin', origin],
        ['content-type', 'application/json'],
        ['authorization', `Bearer ${key}`],
      ],
      CHAT,
      chatBody(change),
    );
  const preflight = (origin: string): Promise<RawResponse> =>
    send('OPTIONS', [
      ['origin', origin],
      ['access-control-request-method', 'POST'],
      ['access-control-request-headers', 'authorization,content-type'],
    ]);
  const granted = (response: RawResponse): (string | null)[] => [
    response.header('access-control-allow-origin'),
    response.header('access-control-allow-credentials'),
  ];

  it('lets a listed origin read answers, errors among them, without credentials of the browser', async () => {
    const answer = await ask(LISTED);
    assert.deepEqual([answer.status, ...granted(answer), answer.header('vary')], [200, LISTED, null, 'origin']);
    assert.match(answer.header('access-control-expose-headers') ?? '', /x-request-id/);
    const refused = await ask(LISTED, 'sp_live_nonsense');
    assert.deepEqual([refused.status, ...granted(refused)], [401, LISTED, null]);
    engine.once(stream(chatStream(['Hi'], 'chat')));
    const streamed = await ask(LISTED, harness.key, { stream: true });
    assert.deepEqual([streamed.status, ...granted(streamed)], [200, LISTED, null]);
  });

  it('answers the preflight of a listed origin, without content', async () => {
    const answer = await preflight(LISTED);
    assert.deepEqual([answer.status, ...granted(answer), answer.header('content-length')], [204, LISTED, null, null]);
    assert.match(answer.header('access-control-allow-methods') ?? '', /POST/);
    const allowed = (answer.header('access-control-allow-headers') ?? '').split(', ');
    for (const name of ['authorization', 'content-type', 'x-api-key', 'anthropic-version', 'x-stainless-os'])
      assert.ok(allowed.includes(name));
    assert.ok(!allowed.includes('*'));
    assert.match(answer.header('vary') ?? '', /origin/);
  });

  it('refuses every other origin, key or not, before anything is asked', async () => {
    const before = engine.requests.length;
    const origins = [
      'https://evil.example',
      'null',
      'http://app.example',
      'https://app.example:443',
      'https://app.example/',
      'https://app.example.evil.example',
      'https://sub.app.example',
      'HTTPS://APP.EXAMPLE',
      `${LISTED}, https://evil.example`,
      '*',
      '',
    ];
    for (const origin of origins) {
      const answer = await ask(origin);
      assert.deepEqual([answer.status, ...granted(answer)], [403, null, null], origin);
      const asked = await preflight(origin);
      assert.deepEqual([asked.status, ...granted(asked)], [403, null, null], origin);
      if (origin.length > 4) assert.ok(!answer.body.includes(origin) && !asked.body.includes(origin));
    }
    assert.equal(engine.requests.length, before);
  });

  it('takes what is no preflight for none', async () => {
    for (const headers of [[], [['origin', LISTED]], [['access-control-request-method', 'POST']]] as [string, string][][]) {
      assert.equal((await send('OPTIONS', headers)).status, 403);
    }
    await using connection = await RawConnection.open({ port: harness.port });
    await connection.send(
      `OPTIONS ${CHAT} HTTP/1.1\r\nhost: x\r\norigin: ${LISTED}\r\naccess-control-request-method: POST\r\ncontent-length: 50\r\n\r\n`,
    );
    const answer = await connection.next('OPTIONS');
    assert.equal(answer.header('connection'), 'close');
    await connection.waitForClose();
  });

  it('is off by default', async () => {
    await using plain = await startHarness({ upstreams: [upstream(engine.url)] });
    const bytes = requestBytes({
      method: 'OPTIONS',
      target: CHAT,
      headers: [
        ['origin', LISTED],
        ['access-control-request-method', 'POST'],
      ],
    });
    const answer = await rawExchange({ port: plain.port }, bytes, 'OPTIONS');
    assert.deepEqual([answer.status, ...granted(answer)], [403, null, null]);
  });
});
