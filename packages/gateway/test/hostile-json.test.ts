import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { effectiveRoles } from '@sallyport/access';
import type { Action } from '@sallyport/core';
import { answerJson, chatReply, ScriptedUpstream } from '@sallyport/testkit';
import { ENDPOINTS, type EndpointId, RESTRICTED_FIELDS } from '@sallyport/wire';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';

/** A body that each endpoint with restricted fields accepts. */
const BODIES: Partial<Record<EndpointId, Record<string, unknown>>> = {
  'openai.chat': { messages: [{ role: 'user', content: 'Hi' }] },
  'openai.completions': { prompt: 'Hi' },
  'openai.responses': { input: 'Hi' },
  'openai.embeddings': { input: 'Hi' },
  'openai.rerank': { query: 'Hi', documents: ['a'] },
  'anthropic.messages': { max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
  'anthropic.count-tokens': { messages: [{ role: 'user', content: 'Hi' }] },
  'ollama.chat': { messages: [{ role: 'user', content: 'Hi' }], stream: false },
  'ollama.generate': { prompt: 'Hi', stream: false },
  'ollama.embed': { input: 'Hi' },
  'ollama.embeddings': { prompt: 'Hi' },
  'ollama.show': {},
  'ollama.create': {},
};

/** Values of the right shape for fields that have one; everything else takes a text. */
const VALUES: Readonly<Record<string, unknown>> = {
  raw: true,
  echo: true,
  store: true,
  background: true,
  options: { num_ctx: 1 },
  prompt: { id: 'pmpt_1' },
  context: [1, 2],
  documents: [{ text: 'x' }],
  num_keep: 5,
  min_tokens: 5,
  logit_bias: { '5': 1 },
  web_search_options: {},
  mcp_servers: [],
};

describe('hostile JSON', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  let limited: string;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({
      upstreams: [upstream(engine.url), upstream(engine.url, { name: 'ollama', kind: 'ollama' })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
    limited = harness.addKey({ roles: ['inference-only'] });
    harness.publish({});
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const refused = async (body: string | Buffer, path = CHAT, key = harness.key): Promise<{ status: number; param: string | null }> => {
    const before = engine.requests.length;
    const answer = await post(harness, path, body, { authorization: `Bearer ${key}` });
    const text = await answer.text();
    assert.equal(engine.requests.length, before, `the upstream saw ${body.toString().slice(0, 80)}`);
    const parsed = JSON.parse(text);
    return { status: answer.status, param: parsed.error.param ?? null };
  };
  const passes = async (body: string | Buffer, path = CHAT, key = harness.key): Promise<void> => {
    const before = engine.requests.length;
    const answer = await post(harness, path, body, { authorization: `Bearer ${key}` });
    await answer.arrayBuffer();
    assert.equal(engine.requests.length, before + 1, `refused with ${answer.status}: ${body.toString().slice(0, 80)}`);
    const sent = await engine.requests.at(-1)?.body;
    assert.deepEqual(sent, Buffer.from(body));
  };

  it('refuses what is not one well-formed JSON object', async () => {
    const whole = chatBody();
    for (let cut = 0; cut < whole.length; cut += 1) assert.equal((await refused(whole.slice(0, cut))).status, 400, `cut at ${cut}`);
    const bodies = [
      '',
      ' ',
      'null',
      '[]',
      '"text"',
      '5',
      `${whole}x`,
      `${whole}${whole}`,
      "{'model':'chat'}",
      '{"model":"chat",}',
      '// c\n{}',
    ];
    for (const body of [...bodies, `\ufeff${whole}`, '{"model":NaN}', '{"model":undefined}']) {
      assert.equal((await refused(body)).status, 400, body);
    }
  });

  it('refuses nesting, member counts and numbers beyond measure', async () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    const deepObjects = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`;
    const inside = (value: string): string => `{"model":"chat","messages":[{"role":"user","content":"Hi"}],"metadata":${value}}`;
    for (const value of [deep, deepObjects, '['.repeat(10_000)]) assert.equal((await refused(inside(value))).status, 400);
    assert.equal((await refused(inside(`[${'0,'.repeat(300_000)}0]`))).status, 413);
    for (const value of ['1e999', '-1e999', '9'.repeat(400), '-2', '1.5', '"5"', '[]', 'true']) {
      assert.equal(
        (await refused(`{"model":"chat","messages":[{"role":"user","content":"Hi"}],"max_tokens":${value}}`)).status,
        400,
        value,
      );
    }
  });

  it('refuses two members of one name, however they are spelled', async () => {
    const bodies = [
      '{"model":"chat","model":"other","messages":[{"role":"user","content":"Hi"}]}',
      '{"model":"chat","mod\\u0065l":"other","messages":[{"role":"user","content":"Hi"}]}',
      '{"model":"chat","messages":[{"role":"user","content":"Hi","content":"other"}]}',
      '{"model":"chat","messages":[{"role":"user","content":"Hi"}],"__proto__":{"stream":true},"__proto__":1}',
    ];
    for (const body of bodies) assert.equal((await refused(body)).status, 400, body);
  });

  it('treats __proto__ and constructor as names like any other', async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString']) {
      const body = `{"model":"chat","messages":[{"role":"user","content":"Hi"}],"metadata":{"${name}":"x"}}`;
      const answer = await post(harness, CHAT, body);
      assert.ok(answer.status === 200 || answer.status === 400, `${name}: ${answer.status}`);
      await answer.arrayBuffer();
    }
    const top = await post(harness, CHAT, '{"__proto__":{"model":"chat","messages":[]}}');
    assert.equal(top.status, 400);
    await top.arrayBuffer();
    assert.equal(Object.hasOwn(Object.prototype, 'model'), false);
  });

  it('refuses bytes that are no UTF-8, NUL and half characters in texts', async () => {
    const around = (middle: Buffer): Buffer =>
      Buffer.concat([Buffer.from('{"model":"chat","messages":[{"role":"user","content":"'), middle, Buffer.from('"}]}')]);
    const cases = [
      Buffer.from([0xff]),
      Buffer.from([0xc0, 0xaf]),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from([0xe2, 0x82]),
      Buffer.from([0xf4, 0x90, 0x80, 0x80]),
      Buffer.from([0]),
      Buffer.from('\\u0000'),
      Buffer.from('\\ud800'),
      Buffer.from('\\udc00\\ud800'),
      Buffer.from('a\nb'),
    ];
    for (const bytes of cases) assert.equal((await refused(around(bytes))).status, 400, bytes.toString('hex'));
    await passes(around(Buffer.from('\\ud83d\\ude00 caf\u00e9 \u{1f600}')));
  });

  it('names the field that is at fault', async () => {
    const cases: [body: Record<string, unknown>, param: string][] = [
      [{ messages: 'Hi' }, 'messages'],
      [{ messages: [{ role: 'user', content: [{ type: 'hologram', data: 'x' }] }] }, 'messages[0].content[0].type'],
      [{ messages: [{ role: 'emperor', content: 'Hi' }] }, 'messages[0].role'],
      [{ temperature: 'hot' }, 'temperature'],
      [{ model: 5 }, 'model'],
      [{ stream: 'yes' }, 'stream'],
    ];
    for (const [change, param] of cases) assert.deepEqual(await refused(chatBody(change)), { status: 400, param });
  });

  it('passes fields it does not know untouched', () =>
    passes('{ "model":"chat", "messages":[{"role":"user","content":"Hi"}], "x_new": [1.0, 1e3] }'));

  it('asks for the permission of every restricted field, and needs no other', async () => {
    let tried = 0;
    for (const row of RESTRICTED_FIELDS) {
      const action: Action = row.action;
      harness.publish({
        roles: effectiveRoles([
          { name: 'all-but', builtIn: false, actions: allActions().filter((one) => one !== action), models: null },
          {
            name: 'just',
            builtIn: false,
            actions: ['model.infer', 'model.embed', 'model.rerank', 'model.show', 'model.manage', action],
            models: null,
          },
        ]),
      });
      const without = harness.addKey({ roles: ['all-but'] });
      const having = harness.addKey({ roles: ['just'] });
      for (const id of row.endpoints) {
        const endpoint = ENDPOINTS.find((one) => one.id === id);
        const name = row.names[tried % row.names.length] ?? '';
        const model = id.startsWith('ollama') ? 'llama' : 'chat';
        const value = VALUES[name] ?? 'x';
        const body = JSON.stringify({
          model,
          ...BODIES[id],
          ...(row.within === 'options' ? { options: { [name]: value } } : { [name]: value }),
        });
        assert.ok(endpoint !== undefined && BODIES[id] !== undefined, id);
        const answer = await post(harness, endpoint.path, body, { authorization: `Bearer ${without}` });
        const text = await answer.text();
        assert.equal(answer.status, 403, `${id} ${name}: ${text}`);
        assert.ok(text.includes(name) && text.includes(action), text);
        await passes(body, endpoint.path, having);
        tried += 1;
      }
    }
    assert.ok(tried > 100);
  });

  it('decides references by where they point', async () => {
    const image = (url: string): string => chatBody({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] });
    await passes(image('https://pictures.example.com/a.png'));
    await passes(image('data:image/png;base64,iVBORw0KGgo='), CHAT, limited);
    assert.deepEqual(await refused(image('https://pictures.example.com/a.png'), CHAT, limited), {
      status: 403,
      param: 'messages[0].content[0].image_url.url',
    });
    const hosts = [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '[::1]',
      '[fd00::1]',
      'localhost',
      'db',
      'a.internal',
      '0.0.0.0',
      '[::ffff:10.0.0.1]',
    ];
    for (const host of hosts) assert.equal((await refused(image(`http://${host}/x`))).status, 403, host);
    const odd = [
      'http://0x7f.1/',
      'http://2130706433/',
      'http://a@10.0.0.1/',
      'http:\\\\10.0.0.1',
      'file:///etc/passwd',
      'gopher://x.example.com/',
      'ftp://x/',
    ];
    for (const url of odd) assert.ok([400, 403].includes((await refused(image(url))).status), url);
  });

  it('holds model management to every model it names', async () => {
    harness.publish({ roles: effectiveRoles([{ name: 'manage', builtIn: false, actions: ['model.manage'], models: ['mine*'] }]) });
    const key = harness.addKey({ roles: ['manage'] });
    const copy = async (source: string, destination: string): Promise<number> => {
      const answer = await post(harness, '/api/copy', JSON.stringify({ source, destination }), { authorization: `Bearer ${key}` });
      await answer.arrayBuffer();
      return answer.status;
    };
    assert.equal(await copy('mine', 'mine-2'), 200);
    assert.equal(await copy('mine', 'theirs'), 403);
    assert.equal(await copy('theirs', 'mine'), 403);
  });
});

function allActions(): Action[] {
  const all = effectiveRoles([]).get('owner')?.actions ?? [];
  return [...all];
}
