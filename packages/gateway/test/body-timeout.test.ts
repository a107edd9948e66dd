import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerJson, chatReply, RawConnection, requestBytes, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, type Harness, HTTP, startHarness, upstream } from './harness.ts';

/** Sends a body in `count` pieces with `pause` milliseconds before each; the status it is answered with. */
async function drip(harness: Harness, count: number, pause: number): Promise<number> {
  const body = chatBody();
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${harness.key}`],
  ];
  const whole = requestBytes({ target: '/v1/chat/completions', headers, body });
  const head = whole.length - Buffer.byteLength(body);
  await using connection = await RawConnection.open({ port: harness.port });
  const answer = connection.next();
  await connection.send(whole.subarray(0, head));
  let answered = false;
  void answer.finally(() => {
    answered = true;
  });
  const size = Math.ceil((whole.length - head) / count);
  for (let at = head; at < whole.length && !answered; at += size) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (!answered) await connection.send(whole.subarray(at, at + size));
  }
  return (await answer).status;
}

describe('a body that comes slowly', () => {
  it('is taken as long as no pause is too long and the whole does not take ten of them', async () => {
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    await using harness = await startHarness({ upstreams: [upstream(engine.url)], snapshot: { http: { ...HTTP, bodyTimeout: 800 } } });
    // Longer than one pause in all.
    assert.equal(await drip(harness, 6, 180), 200);
    assert.equal(await drip(harness, 2, 3_000), 408);
    // No pause is too long, but there are too many: byte by byte.
    assert.equal(await drip(harness, 1_000, 180), 408);
  });
});
