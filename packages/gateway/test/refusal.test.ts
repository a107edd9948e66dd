import assert from 'node:assert/strict';
import { it } from 'node:test';
import { answerJson, chatReply, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, post, route, startHarness, upstream } from './harness.ts';

it('tells with a 405 what the path takes, and with every refusal what it cost', async () => {
  await using harness = await startHarness({ upstreams: [upstream('http://127.0.0.1:1')] });
  const answer = await fetch(`${harness.url}/v1/chat/completions`, { method: 'DELETE' });
  assert.equal(answer.status, 405);
  assert.equal(answer.headers.get('allow'), 'POST');
  assert.ok(Number(answer.headers.get('x-sallyport-overhead-ms')) >= 0);
  await answer.arrayBuffer();
});

it('gives a fallback only what the caller may ask of it', async () => {
  await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'spare')) });
  await using harness = await startHarness({
    upstreams: [upstream('http://127.0.0.1:1', { name: 'away' }), upstream(engine.url)],
    routes: [route('chat', { upstream: 'away', fallback: ['spare'] }), route('spare')],
  });
  harness.publish({
    roles: new Map([
      ['caller', { name: 'caller', builtIn: false, actions: ['model.infer'], models: null }],
      ['templates', { name: 'templates', builtIn: false, actions: ['feature.template'], models: ['chat'] }],
    ]),
  });
  const key = harness.addKey({ roles: ['caller', 'templates'] });
  const ask = async (change: Record<string, unknown>): Promise<number> => {
    const answer = await post(harness, '/v1/chat/completions', chatBody(change), { authorization: `Bearer ${key}` });
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ chat_template: '{{ messages }}' }), 503);
  assert.equal(engine.requests.length, 1);
});
