import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Upstream } from '@sallyport/core';
import { answerJson, chatReply, ScriptedUpstream, temporaryDirectory, type UpstreamOptions } from '@sallyport/testkit';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';
import { chatBody, type Harness, post, startHarness, upstream } from './harness.ts';

type Tls = NonNullable<Upstream['tls']>;

const TLS: Tls = { ca: 'file:ca', cert: null, key: null, serverName: null, pins: [] };
const reply = answerJson(chatReply('Hi', 'chat'));

describe('TLS to the upstream', () => {
  let authority: Authority;
  let server: IssuedCertificate;
  before(async () => {
    authority = await Authority.create('Upstream authority');
    server = await authority.issueServer();
  });

  const listen = (certificate: IssuedCertificate, options: Partial<NonNullable<UpstreamOptions['tls']>> = {}): Promise<ScriptedUpstream> =>
    ScriptedUpstream.start({ tls: { certificate, ...options }, behaviour: reply });
  const start = (engine: ScriptedUpstream, tls: Tls | null, secrets: Record<string, string> = {}): Promise<Harness> =>
    startHarness({
      upstreams: [upstream(engine.url, { tls })],
      options: {
        resolveSecret: (reference) =>
          secrets[reference] ?? (reference === 'file:ca' ? authority.cert : assert.fail(`asked for ${reference}`)),
      },
    });
  /** The status of one exchange, and that nothing was sent where it is refused. */
  const ask = async (engine: ScriptedUpstream, harness: Harness): Promise<number> => {
    const before = engine.requests.length;
    const answer = await post(harness, '/v1/chat/completions', chatBody());
    const body = await answer.text();
    assert.ok(!/certificate|TLS|SSL|127\.0\.0\.1|pin/i.test(answer.status === 200 ? '' : body), body);
    assert.equal(engine.requests.length - before, answer.status === 200 ? 1 : 0);
    return answer.status;
  };

  it('trusts the configured authority, and no other', async () => {
    await using engine = await listen(server);
    await using own = await start(engine, TLS);
    assert.equal(await ask(engine, own), 200);
    await using system = await start(engine, null);
    assert.equal(await ask(engine, system), 503);
    assert.match(String(system.entries.at(-1)?.detail['reason']), /UNABLE_TO|SELF_SIGNED/);
    const other = await Authority.create('Other');
    await using wrong = await start(engine, TLS, { 'file:ca': other.cert });
    assert.equal(await ask(engine, wrong), 503);
  });

  it('checks the name, and the validity', async () => {
    await using elsewhere = await listen(await authority.issueServer({ names: ['other.example'] }));
    await using byAddress = await start(elsewhere, TLS);
    assert.equal(await ask(elsewhere, byAddress), 503);
    await using byName = await start(elsewhere, { ...TLS, serverName: 'other.example' });
    assert.equal(await ask(elsewhere, byName), 200);
    assert.equal(elsewhere.connections.at(-1)?.serverName, 'other.example');
    await using expired = await listen(
      await authority.issueServer({ notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 3_600_000 }),
    );
    await using late = await start(expired, TLS);
    assert.equal(await ask(expired, late), 503);
  });

  it('holds the upstream to its pins, beside the authority', async () => {
    await using engine = await listen(server);
    const second = await authority.issueServer();
    for (const [pins, status] of [
      [[server.pin], 200],
      [[second.pin, server.pin], 200],
      [[second.pin], 503],
    ] as const) {
      await using harness = await start(engine, { ...TLS, pins });
      assert.equal(await ask(engine, harness), status);
      // Not on a resumed session either.
      assert.equal(await ask(engine, harness), status);
    }
    // A pin does not make up for a wrong name or an unknown authority.
    await using untrusted = await start(engine, { ...TLS, ca: null, pins: [server.pin] });
    assert.equal(await ask(engine, untrusted), 503);
  });

  it('shows its own certificate where the upstream asks for one', async () => {
    const client = await authority.issueClient({ name: 'sallyport' });
    await using engine = await listen(server, { clientAuthority: authority.cert });
    const secrets = { 'file:cert': client.cert, 'file:key': client.key };
    await using known = await start(engine, { ...TLS, cert: 'file:cert', key: 'file:key' }, secrets);
    assert.equal(await ask(engine, known), 200);
    assert.equal(engine.connections.at(-1)?.clientFingerprint, client.fingerprint);
    await using unknown = await start(engine, TLS);
    assert.equal(await ask(engine, unknown), 503);
  });

  it('notices a changed certificate at the next connection', async () => {
    await using engine = await listen(server);
    await using harness = await start(engine, { ...TLS, pins: [server.pin] });
    assert.equal(await ask(engine, harness), 200);
    engine.useCertificate(await authority.issueServer());
    for (const connection of engine.connections) connection.socket.destroy();
    assert.equal(await ask(engine, harness), 503);
    assert.equal(harness.entries.at(-1)?.detail['reason'], 'ERR_SALLYPORT_PIN_MISMATCH');
    engine.useCertificate(server);
    assert.equal(await ask(engine, harness), 200);
  });

  it('takes a renewed authority at a reload', async () => {
    const next = await Authority.create('Next authority');
    await using engine = await listen(await next.issueServer());
    const secrets: Record<string, string> = {};
    await using harness = await start(engine, TLS, secrets);
    assert.equal(await ask(engine, harness), 503);
    secrets['file:ca'] = next.cert;
    harness.gateway.reload(null);
    assert.equal(await ask(engine, harness), 200);
  });

  it('keeps the other upstreams where the credentials of one cannot be read', async () => {
    await using engine = await listen(server);
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { tls: TLS }), upstream(engine.url, { name: 'broken', tls: { ...TLS, ca: 'file:missing' } })],
      options: {
        resolveSecret: (reference) => {
          if (reference === 'file:ca') return authority.cert;
          throw new Error('no such file');
        },
      },
    });
    assert.equal(await ask(engine, harness), 200);
    assert.equal(harness.log.find(({ event }) => event === 'upstream.unusable')?.fields['upstream'], 'broken');
  });

  it('speaks through a Unix socket', async () => {
    await using directory = await temporaryDirectory();
    await using engine = await ScriptedUpstream.start({ socketPath: directory.file('engine.sock'), behaviour: reply });
    await using harness = await startHarness({ upstreams: [upstream('http://localhost', { socketPath: engine.socketPath })] });
    assert.equal(await ask(engine, harness), 200);
    await using nobody = await startHarness({ upstreams: [upstream('http://localhost', { socketPath: directory.file('none.sock') })] });
    assert.equal(await ask(engine, nobody), 503);
  });

  it('sends its credential as each kind of server wants it, and never a client’s', async () => {
    await using engine = await ScriptedUpstream.start({ behaviour: reply });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { credential: 'env:UPSTREAM_KEY' })],
      options: { resolveSecret: (reference) => (reference === 'env:UPSTREAM_KEY' ? 'upstream-secret' : assert.fail(reference)) },
    });
    assert.equal(await ask(engine, harness), 200);
    assert.equal(engine.requests.at(-1)?.headers.authorization, 'Bearer upstream-secret');
    assert.ok(!engine.connections.some(({ received }) => received.includes(harness.key)));
  });
});
