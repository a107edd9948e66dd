import assert from 'node:assert/strict';
import { it } from 'node:test';
import { answerJson, chatReply, run, ScriptedUpstream } from '@sallyport/testkit';
import { MAIN } from './command.ts';
import { startServing } from './serving.ts';

it('sallyport risk shows who was kept out and why, and lifts it', async () => {
  await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  await using serving = await startServing(
    `upstreams:\n  - { name: engine, kind: openai, url: "${engine.url}" }\nmodels:\n  - { name: chat, upstream: engine, target: chat }\n` +
      'risk: { points: { enumeration: 100 } }\n',
  );
  const risk = (args: readonly string[], key: string | null = serving.ownerKey): ReturnType<typeof run> =>
    run(process.execPath, [MAIN, '--config', serving.configFile, 'risk', ...args], {
      cwd: serving.home.path,
      env: { ...serving.sallyport.env, ...(key === null ? {} : { SALLYPORT_KEY: key }) },
    });
  const ask = async (model: string): Promise<number> => {
    const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
    });
    await answer.text();
    return answer.status;
  };
  assert.deepEqual(JSON.parse((await risk(['list', '--json'])).stdout), []);
  // The second of them is a throttled caller's turn; the third reaches the block.
  const statuses = [await ask('gpt-9'), await ask('gpt-8'), await ask('gpt-7'), await ask('chat')];
  assert.ok(statuses.includes(404) && statuses.at(-1) !== 200, String(statuses));
  const list = JSON.parse((await risk(['list', '--json'])).stdout) as { subject: string; level: string; signals: { signal: string }[] }[];
  const principal = list.find(({ subject }) => subject.startsWith('principal:')) ?? assert.fail(JSON.stringify(list));
  assert.equal(principal.signals[0]?.signal, 'enumeration');
  const shown = await risk(['show', principal.subject]);
  assert.match(shown.stdout, /enumeration +[0-9]/);
  for (const { subject } of list) assert.equal((await risk(['reset', subject])).code, 0);
  assert.equal(await ask('chat'), 200);
  assert.equal((await risk(['show', principal.subject])).code, 1);
  const refused = await risk(['reset', 'principal:default/nobody']);
  assert.equal(refused.code, 1, refused.stderr);
  assert.equal((await risk(['list'], serving.key)).code, 1);
  assert.equal((await risk(['list'], null)).code, 2);
});
