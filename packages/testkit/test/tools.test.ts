import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { Authority } from '../src/certificates.ts';
import { FakeClock } from '../src/clock.ts';
import { eventData } from '../src/curl.ts';
import { StopMatcher } from '../src/engine/stop.ts';
import { encodeGguf } from '../src/gguf.ts';
import { activeResources, eventually, openFiles } from '../src/leaks.ts';
import { postgresMissing, startPostgres } from '../src/postgres.ts';
import { Launched, liveChildren, run } from '../src/process.ts';
import { seededRandom } from '../src/random.ts';
import { RawConnection } from '../src/rawclient.ts';
import { temporaryDirectory } from '../src/tempdir.ts';
import { tinyModel } from '../src/tinymodel.ts';

describe('processes', () => {
  it('waits for output, stops, and leaves none', async () => {
    const child = await Launched.launch(process.execPath, ['-e', 'console.log("port 42"); setInterval(() => {}, 1000)']);
    assert.deepEqual(liveChildren(), [child.pid]);
    assert.equal((await child.waitFor(/port (\d+)/))[1], '42');
    assert.deepEqual(await child.stop(), { code: null, signal: 'SIGTERM' });
    assert.deepEqual(liveChildren(), []);
  });

  it('kills what does not stop', async () => {
    const child = await Launched.launch(process.execPath, [
      '-e',
      'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)',
    ]);
    await child.waitFor(/up/);
    assert.deepEqual(await child.stop('SIGTERM', 100), { code: null, signal: 'SIGKILL' });
  });

  it('says what was printed when the awaited line does not come', async () => {
    const child = await Launched.launch(process.execPath, ['-e', 'console.error("broken"); process.exit(3)']);
    await assert.rejects(child.waitFor(/ready/), /ended before printing[\s\S]*broken/);
    assert.deepEqual(child.exit, { code: 3, signal: null });
  });

  it('runs to the end with input; a missing program is an error', async () => {
    const result = await run('cat', [], { input: 'through' });
    assert.deepEqual([result.code, result.stdout], [0, 'through']);
    await assert.rejects(run('no-such-program', []), { code: 'ENOENT' });
  });
});

describe('leaks', () => {
  it('a connection is counted at both ends while it is open', async () => {
    const script = 'const s = require("net").createServer().listen(0, "127.0.0.1", () => console.log("port " + s.address().port))';
    await using server = await Launched.launch(process.execPath, ['-e', script]);
    const port = Number((await server.waitFor(/port (\d+)/))[1]);
    const before = await openFiles(server.pid);
    const own = activeResources().get('TCPSocketWrap') ?? 0;
    const connection = await RawConnection.open({ port });
    await eventually('the server has it', async () => (await openFiles(server.pid)).sockets === before.sockets + 1);
    assert.equal(activeResources().get('TCPSocketWrap'), own + 1);
    await connection[Symbol.asyncDispose]();
    await eventually('the server has it no longer', async () => (await openFiles(server.pid)).sockets === before.sockets);
    assert.equal(activeResources().get('TCPSocketWrap') ?? 0, own);
  });

  it('waiting for what does not come ends with its name', async () => {
    await assert.rejects(
      eventually('the impossible', () => false, 20),
      /the impossible/,
    );
  });
});

describe('certificates', () => {
  it('chain to their authority and carry names and SPIFFE IDs', async () => {
    const authority = await Authority.create();
    const root = new X509Certificate(authority.cert);
    const server = new X509Certificate((await authority.issueServer()).cert);
    const client = await authority.issueClient({ uris: ['spiffe://example.org/ns/team/sa/app'] });
    assert.ok(root.ca && server.verify(root.publicKey) && server.checkIssued(root));
    assert.equal(server.checkHost('localhost'), 'localhost');
    assert.equal(server.checkIP('127.0.0.1'), '127.0.0.1');
    const parsed = new X509Certificate(client.cert);
    assert.equal(parsed.subjectAltName, 'URI:spiffe://example.org/ns/team/sa/app');
    assert.equal(client.fingerprint, parsed.fingerprint256.replaceAll(':', '').toLowerCase());
    assert.match(client.pin, /^sha256\/[A-Za-z0-9+/]{43}=$/);
  });
});

describe('postgres', { skip: (await postgresMissing()) ?? false }, () => {
  it('keeps its data through an outage and is gone afterwards', async () => {
    const server = await startPostgres();
    const query = async (text: string): Promise<unknown[]> => {
      const client = new pg.Client({ connectionString: server.url });
      client.on('error', () => {}); // the outage below
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    };
    await query('create table t (v int)');
    await query('insert into t values (7)');
    await query('checkpoint');
    await server.stop();
    await assert.rejects(query('select 1'), { code: 'ECONNREFUSED' });
    await server.start();
    assert.deepEqual(await query('select v from t'), [{ v: 7 }]);
    await server[Symbol.asyncDispose]();
    assert.deepEqual(liveChildren(), []);
  });
});

describe('small parts', () => {
  it('a temporary directory goes with its scope', async () => {
    const path = await (async () => {
      await using directory = await temporaryDirectory();
      assert.ok(existsSync(directory.path));
      return directory.path;
    })();
    assert.ok(!existsSync(path));
  });

  it('the clock moves only when told', () => {
    const clock = new FakeClock(1000);
    clock.advance(250);
    clock.setWallClock(500);
    assert.deepEqual([clock.now(), clock.monotonic()], [500, 250]);
    assert.throws(() => clock.advance(-1), RangeError);
  });

  it('seeded numbers repeat and spread', () => {
    const draw = (seed: number): number[] => Array.from({ length: 1000 }, seededRandom(seed).uniform);
    assert.deepEqual(draw(3), draw(3));
    assert.notDeepEqual(draw(3), draw(4));
    const mean = draw(5).reduce((sum, value) => sum + value, 0) / 1000;
    assert.ok(mean > 0.45 && mean < 0.55);
  });

  it('the model file is the same for the same seed, and a GGUF refuses data that does not fit', () => {
    assert.deepEqual(tinyModel(1), tinyModel(1));
    assert.notDeepEqual(tinyModel(1), tinyModel(2));
    assert.equal(tinyModel(1).toString('latin1', 0, 4), 'GGUF');
    assert.throws(() => encodeGguf(new Map(), [{ name: 'w', shape: [2, 2], data: new Float32Array(3) }]), RangeError);
  });

  it('stop sequences are found however the text is cut', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[ab.]{0,20}$/),
        fc.array(fc.stringMatching(/^[ab.]{1,3}$/), { maxLength: 2 }),
        fc.array(fc.nat(20)),
        (text, stops, cuts) => {
          const edges = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
          const matcher = new StopMatcher(stops);
          let released = '';
          for (let index = 1; index < edges.length && matcher.matched === null; index++) {
            released += [...matcher.push(text.slice(edges[index - 1], edges[index]))].join('');
          }
          if (matcher.matched === null) released += [...matcher.flush()].join('');
          const whole = new StopMatcher(stops);
          const expected = [...whole.push(text), ...(whole.matched === null ? whole.flush() : [])].join('');
          // However it is cut, no stop sequence is ever released and nothing else is lost.
          assert.ok(stops.every((stop) => !released.includes(stop)));
          assert.ok(text.startsWith(released));
          assert.equal(matcher.matched === null, whole.matched === null);
          if (matcher.matched === null) assert.equal(released, expected);
        },
      ),
    );
  });

  it('event data is read with any line end', () => {
    assert.deepEqual(eventData('data: 1\n\nevent: x\ndata: 2\ndata: 3\n\n: note\n\ndata:4\r\n\r\n'), ['1', '2\n3', '4']);
  });
});
