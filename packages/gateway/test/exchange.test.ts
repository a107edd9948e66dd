import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, chatReply, chatStream, cutEvery, ScriptedUpstream, stream } from '@sallyport/testkit';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

const errorOf = async (answer: Response): Promise<ErrorBody['error']> => ((await answer.json()) as ErrorBody).error;

describe('an exchange', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [upstream(engine.url)],
      routes: [route('chat', { target: 'chat' }), route('public', { target: 'org/secret-model' })],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  it('forwards the bytes the client sent and returns the bytes the engine sent', async () => {
    const body = '{ "model" : "chat",\n "messages":[{"content":"caf\\u00e9","role":"user"}], "temperature":0.10 }';
    const reply = ` ${JSON.stringify(chatReply('Hi', 'chat'))}\n`;
    engine.once(async ({ request, response }) => {
      await request.body;
      response.writeHead(200, { 'content-type': 'application/json', server: 'secret-engine', 'x-internal': 'host-7' }).end(reply);
    });
    const answer = await post(harness, '/v1/chat/completions', body);
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), reply);
    const request = engine.requests.at(-1);
    assert.equal((await request?.body)?.toString(), body);
    assert.equal(answer.headers.get('server'), null);
    assert.equal(answer.headers.get('x-internal'), null);
    assert.ok(Number(answer.headers.get('x-sallyport-overhead-ms')) >= 0);
  });

  it('sends the engine none of the client headers', async () => {
    engine.once(answerJson(chatReply('Hi', 'chat')));
    await post(harness, '/v1/chat/completions', chatBody(), {
      cookie: 'a=b',
      'x-forwarded-user': 'root',
      'x-custom': '1',
      'user-agent': 'evil',
    });
    const names = (engine.requests.at(-1)?.rawHeaders ?? []).filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
    assert.deepEqual(names.sort(), ['accept', 'connection', 'content-length', 'content-type', 'host', 'x-request-id']);
  });

  it('keeps the engine name of a model inside: another goes in, the public one comes out', async () => {
    engine.once(answerJson(chatReply('Hi', 'org/secret-model')));
    const whole = await (await post(harness, '/v1/chat/completions', chatBody({ model: 'public' }))).text();
    assert.match((await engine.requests.at(-1)?.body)?.toString() ?? '', /"model":"org\/secret-model"/);
    assert.ok(!whole.includes('secret-model'), whole);
    assert.equal(JSON.parse(whole).model, 'public');
    engine.once(stream(chatStream(['a', 'b'], 'org/secret-model')));
    const streamed = await (await post(harness, '/v1/chat/completions', chatBody({ model: 'public', stream: true }))).text();
    assert.ok(!streamed.includes('secret-model'), streamed);
    assert.equal(streamed, Buffer.concat(chatStream(['a', 'b'], 'public')).toString());
  });

  it('passes a stream byte for byte, however it is cut', async () => {
    const bytes = Buffer.concat(chatStream(['Hello', ' wörld', ' 👋'], 'chat'));
    for (const size of [1, 7, 64, bytes.length]) {
      engine.once(stream(cutEvery(bytes, size)));
      const answer = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
      assert.equal(answer.headers.get('content-type'), 'text/event-stream');
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes, `cut every ${size}`);
    }
  });

  it('records who asked what of which model, and what it cost', async () => {
    engine.once(answerJson(chatReply('Hi', 'chat')));
    const answer = await post(harness, '/v1/chat/completions', chatBody());
    await answer.text();
    const entry = harness.entries.at(-1);
    assert.equal(entry?.id, answer.headers.get('x-request-id'));
    assert.equal(entry?.outcome, 'answered');
    assert.equal(entry?.principal?.tenant, 'acme');
    assert.equal(entry?.decision?.rule, 'role:user/model.infer');
    assert.deepEqual(entry?.usage, { input: 5, output: 2, cached: 0, exact: true });
    assert.equal(entry?.model?.upstream, 'engine');
    assert.match(entry?.digest.prompt ?? '', /^[0-9a-f]{64}$/);
    assert.ok(!JSON.stringify(entry).includes('Hello'));
  });

  it('repeats the name of a model nobody configured only where it is one a model could have', async () => {
    for (const [model, recorded] of [
      ['org/name-7b:q4_K.M', 'org/name-7b:q4_K.M'],
      ['alice@acme.example', '*'],
      ['+49 151 23456789', '*'],
      ['4915123456789', '*'],
    ]) {
      await (await post(harness, '/v1/chat/completions', chatBody({ model }))).text();
      const entry = harness.entries.at(-1);
      assert.deepEqual([entry?.resource, entry?.model?.name, entry?.outcome], [recorded, recorded, 'refused'], model);
    }
  });

  it('records the digests of what was asked and of what the client got, of long texts and streams too', async () => {
    const long = 'word '.repeat(5000);
    for (const [body, answered] of [
      [chatBody(), answerJson(chatReply('Hi', 'chat'))],
      [chatBody({ messages: [{ role: 'user', content: long }] }), answerJson(chatReply(long, 'chat'))],
      [chatBody({ stream: true }), stream(chatStream(['Hello', ' there'], 'chat'))],
    ] as const) {
      engine.once(answered);
      const answer = await post(harness, '/v1/chat/completions', body);
      const shown = Buffer.from(await answer.arrayBuffer());
      assert.deepEqual(harness.entries.at(-1)?.digest, {
        prompt: harness.ledger.digest(Buffer.from(body)),
        reply: harness.ledger.digest(shown),
      });
    }
  });

  it('answers every refusal in the dialect of its route, with a stable code and no more', async () => {
    const wrongKey = await post(harness, '/v1/chat/completions', chatBody(), { authorization: 'Bearer sp_live_nonsense' });
    assert.deepEqual([wrongKey.status, (await errorOf(wrongKey)).code], [401, 'invalid_api_key']);
    assert.match(wrongKey.headers.get('www-authenticate') ?? '', /^Bearer/);
    const noKey = await fetch(`${harness.url}/v1/messages`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    assert.deepEqual([noKey.status, ((await noKey.json()) as { type: string }).type], [401, 'error']);
    const unknown = await post(harness, '/v1/chat/completions', chatBody({ model: 'nothing' }));
    assert.deepEqual([unknown.status, (await errorOf(unknown)).code], [404, 'model_not_found']);
    const manage = await post(harness, '/api/pull', JSON.stringify({ model: 'llama3' }));
    assert.equal(manage.status, 403);
    assert.equal(typeof ((await manage.json()) as { error: string }).error, 'string');
    const form = await post(harness, '/v1/chat/completions', chatBody(), { 'content-type': 'text/plain' });
    assert.equal(form.status, 415);
    const nowhere = await post(harness, '/v1/fine_tuning/jobs', '{}');
    assert.equal(nowhere.status, 404);
    const method = await fetch(`${harness.url}/v1/chat/completions`, { headers: { authorization: `Bearer ${harness.key}` } });
    assert.equal(method.status, 405);
  });

  it('lists only the models a key may use', async () => {
    const key = harness.addKey({ models: ['pub*'] });
    harness.publish({});
    const list = (await (await fetch(`${harness.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).json()) as {
      data: { id: string }[];
    };
    assert.deepEqual(
      list.data.map((model) => model.id),
      ['public'],
    );
    const refused = await post(harness, '/v1/chat/completions', chatBody(), { authorization: `Bearer ${key}` });
    assert.deepEqual([refused.status, (await errorOf(refused)).code], [403, 'model_not_allowed']);
  });

  it('carries the security headers on every answer', async () => {
    for (const answer of [
      await fetch(`${harness.url}/health/live`),
      await fetch(`${harness.url}/nowhere`),
      await post(harness, '/v1/chat/completions', '{'),
    ]) {
      await answer.text();
      assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/);
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.ok((answer.headers.get('x-request-id') ?? '').length >= 16);
      assert.equal(answer.headers.get('strict-transport-security'), null);
    }
  });

  it('does not answer what it cannot record', async () => {
    engine.once(answerJson(chatReply('secret answer', 'chat')));
    harness.ledger.broken = true;
    const answer = await post(harness, '/v1/chat/completions', chatBody());
    harness.ledger.broken = false;
    assert.equal(answer.status, 503);
    assert.ok(!(await answer.text()).includes('secret answer'));
  });
});
