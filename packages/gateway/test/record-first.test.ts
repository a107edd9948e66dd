import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import { chatBody, post, startHarness, upstream } from './harness.ts';

const REPLY = JSON.stringify({
  id: 'x',
  object: 'chat.completion',
  created: 1,
  model: 'chat',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});

test('an action that has to be known first is in the ledger before the upstream is asked, and its end names that entry', async () => {
  let outcomesWhenAsked: string[] | null = null;
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      asked++;
      outcomesWhenAsked = harness.entries.map(({ outcome }) => outcome);
      response.writeHead(200, { 'content-type': 'application/json' }).end(REPLY);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  await using harness = await startHarness({ upstreams: [upstream(url)], options: { recordFirst: ['model.infer'] } });
  try {
    assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 200);
    assert.deepEqual(outcomesWhenAsked, ['open']);
    const [open, end] = harness.entries;
    assert.deepEqual([open?.outcome, end?.outcome, end?.detail['opened']], ['open', 'answered', 0]);
    assert.equal(open?.id, end?.id);
    assert.equal(open?.digest.prompt, end?.digest.prompt);

    // Another action is not recorded first, and what is refused was never begun.
    await post(harness, '/v1/chat/completions', chatBody({ model: 'unknown' }));
    assert.deepEqual(
      harness.entries.slice(2).map(({ outcome }) => outcome),
      ['refused'],
    );

    // What cannot be put on record is not done.
    harness.ledger.broken = true;
    const before = asked;
    assert.equal((await post(harness, '/v1/chat/completions', chatBody())).status, 503);
    assert.equal(asked, before);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
