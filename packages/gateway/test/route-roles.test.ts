import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { BUILT_IN_ROLES } from '@sallyport/access';
import { answerJson, ScriptedUpstream } from '@sallyport/testkit';
import { ENDPOINTS, type Endpoint, type EndpointId } from '@sallyport/wire';
import { type Harness, route, startHarness, upstream } from './harness.ts';

const PAGE = new URL('../../../docs/roles.md', import.meta.url);
const BEGIN = '<!-- begin: route table -->\n';
const END = '<!-- end: route table -->';

const MODEL_PATH = '/v1/models/';
const MESSAGES = { model: 'chat', messages: [{ role: 'user', content: 'Hello' }] };
const NAMED = { model: 'chat' };
const SOUND: Partial<Record<EndpointId, object>> = {
  'openai.chat': MESSAGES,
  'openai.completions': { ...NAMED, prompt: 'Hello' },
  'openai.responses': { ...NAMED, input: 'Hello' },
  'openai.embeddings': { ...NAMED, input: 'Hello' },
  'openai.rerank': { ...NAMED, query: 'Hello', documents: ['Hello'] },
  'anthropic.messages': { ...MESSAGES, max_tokens: 8 },
  'anthropic.count-tokens': MESSAGES,
  'ollama.chat': MESSAGES,
  'ollama.generate': { ...NAMED, prompt: 'Hello' },
  'ollama.embed': { ...NAMED, input: 'Hello' },
  'ollama.embeddings': { ...NAMED, prompt: 'Hello' },
  'ollama.copy': { source: 'chat', destination: 'chat-2' },
};
const UNSOUND = ['{}', '{"model":', '[]', '{"model":"\\ud800"}'];

function routeTable(): string {
  const names = BUILT_IN_ROLES.map(({ name }) => `\`${name}\``);
  const rows = ENDPOINTS.map(({ method, path, action }) => {
    const cells = BUILT_IN_ROLES.map(({ actions }) => (actions.includes(action) ? '✓' : ''));
    return `| \`${method} ${path === MODEL_PATH ? `${path}{model}` : path}\` | \`${action}\` | ${cells.join(' | ')} |`;
  });
  return [`| | needs | ${names.join(' | ')} |`, `|---|---|${':-:|'.repeat(names.length)}`, ...rows, ''].join('\n');
}

describe('every route × role', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson({}) });
    harness = await startHarness({
      upstreams: [upstream(engine.url, { kind: 'ollama' })],
      routes: [route('chat')],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const call = async (endpoint: Endpoint, key: string, body: string): Promise<{ status: number; text: string }> => {
    const path = endpoint.path === MODEL_PATH ? `${MODEL_PATH}chat` : endpoint.path;
    const answer = await fetch(`${harness.url}${path}`, {
      method: endpoint.method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(endpoint.parse === null ? {} : { body }),
    });
    // Anthropic's errors name the request.
    return { status: answer.status, text: (await answer.text()).replace(/"request_id":"[^"]*"/, '') };
  };

  for (const { name, actions } of BUILT_IN_ROLES) {
    it(`${name}: is refused where it lacks the permission, whatever it sends, and let past where it has it`, async () => {
      const key = harness.addKey({ roles: [name] });
      for (const endpoint of ENDPOINTS) {
        const asked = engine.requests.length;
        const sound = await call(endpoint, key, JSON.stringify(SOUND[endpoint.id] ?? NAMED));
        if (actions.includes(endpoint.action)) {
          assert.notEqual(sound.status, 401, endpoint.id);
          assert.notEqual(sound.status, 403, `${endpoint.id}: ${sound.text}`);
          if (endpoint.parse === null) continue;
          for (const body of UNSOUND) assert.equal((await call(endpoint, key, body)).status, 400, `${endpoint.id} ${body}`);
          continue;
        }
        assert.equal(sound.status, 403, `${endpoint.id}: ${sound.text}`);
        assert.match(sound.text, new RegExp(`lacks the permission ${endpoint.action}`));
        assert.deepEqual(harness.entries.at(-1)?.decision, { effect: 'deny', rule: 'default-deny' }, endpoint.id);
        if (endpoint.parse !== null) {
          for (const body of UNSOUND) assert.deepEqual(await call(endpoint, key, body), sound, `${endpoint.id} ${body}`);
        }
        assert.equal(engine.requests.length, asked, endpoint.id);
      }
    });
  }

  it('is the table of docs/roles.md (UPDATE_DOCS=1 writes it anew)', () => {
    const page = readFileSync(PAGE, 'utf8');
    const begin = page.indexOf(BEGIN) + BEGIN.length;
    const end = page.indexOf(END);
    assert.ok(begin >= BEGIN.length && end >= begin, 'the page has lost its markers');
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, page.slice(0, begin) + routeTable() + page.slice(end));
    assert.equal(readFileSync(PAGE, 'utf8').slice(begin).split(END)[0], routeTable());
  });
});
