import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type GuardSettings, INSPECTED_ENDPOINTS } from '@sallyport/core';
import { answerJson, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { ENDPOINTS } from '@sallyport/wire';
import { chatBody, GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const deny = (action: 'block' | 'redact' | 'flag'): Partial<GuardSettings> => ({
  deny: [{ name: 'codeword', pattern: 'XYZZY-[0-9]{4}', ignoreCase: false, stages: ['input', 'output'], action }],
});
const REPLY = 'The code is XYZZY-4711.';
const completion = (content: string): object => ({
  id: 'c',
  object: 'chat.completion',
  created: 1,
  model: 'chat',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
});
const forAll = { models: null, endpoints: null, roles: null, tenants: null };

it('an override can name every endpoint whose body is inspected', () => {
  const inspected = ENDPOINTS.filter(({ parse, action }) => parse !== null && /^model\.(infer|embed|rerank)$/.test(action));
  assert.deepEqual(inspected.map(({ id }) => id).toSorted(), [...INSPECTED_ENDPOINTS].toSorted());
});

describe('guard policies of a snapshot', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({ upstreams: [upstream(engine.url)], routes: [route('chat'), route('open')] });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const ask = async (body: string, key = harness.key): Promise<{ status: number; text: string }> => {
    const answer = await post(harness, '/v1/chat/completions', body, { authorization: `Bearer ${key}` });
    return { status: answer.status, text: await answer.text() };
  };
  const verdicts = (): string[] => (harness.entries.at(-1)?.verdicts ?? []).map(({ action }) => action);

  it('are chosen by model, role and tenant, for the request, the reply and the refusal alike', async () => {
    harness.publish({
      guard: {
        ...GUARD,
        ...deny('block'),
        overrides: [
          { ...forAll, name: 'open', models: ['open'], settings: { ...GUARD, ...deny('flag') } },
          {
            ...forAll,
            name: 'soft',
            roles: ['auditor'],
            tenants: ['acme'],
            settings: { ...GUARD, ...deny('block'), onBlock: 'assistant' },
          },
        ],
      },
    });
    const asking = (model: string): string => chatBody({ model, messages: [{ role: 'user', content: REPLY }] });
    assert.equal((await ask(asking('chat'))).status, 400);
    assert.equal(harness.entries.at(-1)?.detail['guard'], undefined);

    engine.once(answerJson(completion(REPLY)));
    assert.match((await ask(asking('open'))).text, /XYZZY-4711/);
    assert.equal(harness.entries.at(-1)?.detail['guard'], 'open');

    const soft = harness.addKey({ roles: ['user', 'auditor'] });
    const other = harness.addKey({ roles: ['user', 'auditor'], tenant: 'other' });
    harness.publish({});
    assert.match((await ask(asking('chat'), soft)).text, /content_filter/);
    assert.equal((await ask(asking('chat'), other)).status, 400);
  });

  it('hold the reply of one model and stream another', async () => {
    harness.publish({
      guard: {
        ...GUARD,
        ...deny('block'),
        overrides: [{ ...forAll, name: 'held', models: ['open'], settings: { ...GUARD, ...deny('block'), mode: 'hold' } }],
      },
    });
    const events = chatStream(['A long introduction, ', 'and then XYZZY-4711', ' it goes on.'], 'chat');
    engine.once(stream(events, { contentType: 'text/event-stream' }));
    const streamed = await ask(chatBody({ stream: true }));
    assert.equal(streamed.status, 200);
    assert.match(streamed.text, /A long introduction/);
    engine.once(stream(events, { contentType: 'text/event-stream' }));
    const held = await ask(chatBody({ model: 'open', stream: true }));
    assert.equal(held.status, 400);
    assert.doesNotMatch(held.text, /introduction/);
  });

  it('run a candidate beside them that is recorded and never acts, in requests, replies and streams', async () => {
    const candidate = { ...GUARD, input: [], output: [], ...deny('block') };
    harness.publish({ guard: { ...GUARD, input: ['pii:mask'], output: ['pii:mask'], shadow: candidate } });
    engine.once(answerJson(completion(REPLY)));
    const answer = await ask(chatBody({ messages: [{ role: 'user', content: `${REPLY} Write to jane.doe@corp.co.uk` }] }));
    assert.equal(answer.status, 200);
    assert.match(answer.text, /XYZZY-4711/);
    assert.match(String(await engine.requests.at(-1)?.body), /XYZZY-4711. Write to \[EMAIL_1\]/);
    assert.deepEqual(verdicts().toSorted(), ['redact', 'shadow:block']);
    assert.equal(harness.entries.at(-1)?.verdicts.find(({ action }) => action === 'shadow:block')?.count, 2);
    assert.equal(harness.entries.at(-1)?.outcome, 'answered');

    engine.once(stream(chatStream([...REPLY], 'chat'), { contentType: 'text/event-stream' }));
    const streamed = await ask(chatBody({ stream: true }));
    assert.match(streamed.text, /\[DONE\]/);
    assert.deepEqual(verdicts(), ['shadow:block']);
  });
});
