import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { answerJson, chatReply, run, ScriptedUpstream } from '@sallyport/testkit';
import { MAIN } from './command.ts';
import { startServing, until } from './serving.ts';

async function showAndLift(verb: readonly string[]): Promise<void> {
  await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
  await using serving = await startServing(
    `upstreams:\n  - { name: engine, kind: openai, url: "${engine.url}" }\nmodels:\n  - { name: chat, upstream: engine, target: chat }\n` +
      'risk: { points: { enumeration: 100 } }\n',
    verb,
  );
  const risk = (args: readonly string[], key: string | null = serving.ownerKey): ReturnType<typeof run> =>
    run(process.execPath, [MAIN, '--config', serving.configFile, 'risk', ...args], {
      cwd: serving.home.path,
      env: { ...serving.sallyport.env, ...(key === null ? {} : { SALLYPORT_KEY: key }) },
    });
  const ask = async (model: string): Promise<number> => {
    const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.key}`, 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
      // A connection that was on its way to a worker that was killed is never answered.
      signal: AbortSignal.timeout(10_000),
    });
    await answer.text();
    return answer.status;
  };
  assert.deepEqual(JSON.parse((await risk(['list', '--json'])).stdout), []);
  // The second of them is a throttled caller's turn; the third reaches the block. Each may come to another process, which hears of the others.
  const statuses = [await ask('gpt-9'), await ask('gpt-8'), await ask('gpt-7')];
  assert.ok(statuses.includes(404), String(statuses));
  const keptOut = await until(async () => (await ask('chat')) !== 200 && (await ask('chat')) !== 200, 5_000);
  assert.notEqual(keptOut, null, 'every process keeps it out');
  if (verb.includes('--workers')) {
    // Those that take the place of others that ended are told.
    const pids = execFileSync('ps', ['--ppid', String(serving.process().pid), '-o', 'pid='], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
    for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
    assert.notEqual(await until(async () => (await ask('chat').catch(() => 0)) !== 0, 60_000), null, 'somebody answers again');
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (let asked = 0; asked < 6; asked += 1) assert.notEqual(await ask('chat'), 200, 'one that was started anew keeps it out too');
  }
  const list = JSON.parse((await risk(['list', '--json'])).stdout) as { subject: string; level: string; signals: { signal: string }[] }[];
  const principal = list.find(({ subject }) => subject.startsWith('principal:')) ?? assert.fail(JSON.stringify(list));
  assert.equal(principal.signals[0]?.signal, 'enumeration');
  const shown = await risk(['show', principal.subject]);
  assert.match(shown.stdout, /enumeration +[0-9]/);
  for (const { subject } of list) assert.equal((await risk(['reset', subject])).code, 0);
  assert.notEqual(
    await until(async () => (await ask('chat')) === 200 && (await ask('chat')) === 200, 5_000),
    null,
    'every process lets it in',
  );
  assert.equal((await risk(['show', principal.subject])).code, 1);
  const refused = await risk(['reset', 'principal:default/nobody']);
  assert.equal(refused.code, 1, refused.stderr);
  assert.equal((await risk(['list'], serving.key)).code, 1);
  assert.equal((await risk(['list'], null)).code, 2);
}

it('sallyport risk shows who was kept out and why, and lifts it', () => showAndLift(['serve']));

it('sallyport risk does so for all workers', () => showAndLift(['serve', '--workers', '2']));
