import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EntryFacts } from '@sallyport/core';
import { answerJson, type Behaviour, chatReply, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { chatBody, type Harness, post, startHarness, upstream } from './harness.ts';

/** The entries of one exchange whose model server answers as `behave` does. */
async function entriesOf(behave: Behaviour, body: string = chatBody(), path = '/v1/chat/completions'): Promise<readonly EntryFacts[]> {
  await using engine = await ScriptedUpstream.start();
  engine.once(behave);
  await using harness: Harness = await startHarness({ upstreams: [upstream(engine.url)] });
  await (await post(harness, path, body)).arrayBuffer();
  return harness.entries;
}

function reply(message: object, finish_reason: string): object {
  return { ...chatReply('', 'chat'), choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }] };
}

function outputOf(entries: readonly EntryFacts[]): unknown {
  return entries.find(({ kind }) => kind === 'request')?.detail['output'];
}

describe('what an entry says of a reply', () => {
  it('is nothing for an ordinary one, streamed or whole', async () => {
    assert.equal(outputOf(await entriesOf(answerJson(chatReply('Hi', 'chat')))), undefined);
    assert.equal(outputOf(await entriesOf(stream(chatStream(['I ', 'am ', 'fine'], 'chat')), chatBody({ stream: true }))), undefined);
  });

  it('is that it was truncated or refused', async () => {
    assert.equal(outputOf(await entriesOf(answerJson(reply({ content: 'Once upon' }, 'length')))), 'truncated');
    assert.equal(outputOf(await entriesOf(answerJson(reply({ content: null, refusal: 'No.' }, 'stop')))), 'refusal');
    assert.equal(outputOf(await entriesOf(answerJson(reply({ content: '' }, 'content_filter')))), 'refusal');
    assert.equal(
      outputOf(await entriesOf(stream(chatStream(["I'm so", 'rry, but', ' no'], 'chat')), chatBody({ stream: true }))),
      'refusal',
    );
    assert.equal(outputOf(await entriesOf(answerJson(reply({ content: 'He said: I cannot' }, 'stop')))), undefined);
  });

  it('is each tool it asks for, with masked parameters and a digest, in an entry of its own', async () => {
    const secret = 'quetzal';
    const call = (name: string, args: string): object => ({ id: 'c', type: 'function', function: { name, arguments: args } });
    const args = JSON.stringify({ path: `/home/${secret}`, deep: { ok: true, n: [1, 2] }, [`key of ${secret}`]: 7 });
    const entries = await entriesOf(
      answerJson(reply({ content: null, tool_calls: [call('read_file', args), call('now', `not json ${secret}`)] }, 'tool_calls')),
    );
    const tools = entries.filter(({ kind }) => kind === 'tool');
    assert.deepEqual(
      tools.map(({ resource, action, detail }) => [resource, action, detail['parameters']]),
      [
        ['read_file', 'tool.requested', 'path:string(13), deep.ok:boolean, deep.n:array(2), *:number'],
        ['now', 'tool.requested', `unparsed(${`not json ${secret}`.length})`],
      ],
    );
    const exchange = entries.find(({ kind }) => kind === 'request');
    for (const tool of tools) {
      assert.equal(tool.id, exchange?.id);
      assert.match(tool.digest.reply ?? '', /^[0-9a-f]{64}$/);
      assert.deepEqual(tool.principal, exchange?.principal);
    }
    assert.ok(!JSON.stringify(entries).includes(secret));
  });

  it('is a tool without its name, where that is not what a program would be called', async () => {
    const names = ['files/read.v2:now', '天気を取得', 'mail to jane@firm.example', '\u001b[2Jrm', 'a\nb', `n${'x'.repeat(128)}`];
    const tool_calls = names.map((name, index) => ({ index, id: 'c', type: 'function', function: { name, arguments: '{}' } }));
    const entries = await entriesOf(answerJson(reply({ content: null, tool_calls }, 'tool_calls')));
    assert.deepEqual(
      entries.filter(({ kind }) => kind === 'tool').map(({ resource }) => resource),
      ['files/read.v2:now', '天気を取得', '*', '*', '*', '*'],
    );
  });

  it('bounds what a reply full of calls writes', async () => {
    const tool_calls = Array.from({ length: 100 }, (_, index) => ({
      index,
      id: 'c',
      type: 'function',
      function: { name: `t${index}`, arguments: `"${'x'.repeat(1_000)}"` },
    }));
    const entries = await entriesOf(answerJson(reply({ content: null, tool_calls }, 'tool_calls')));
    assert.equal(entries.filter(({ kind }) => kind === 'tool').length, 32);
  });
});
