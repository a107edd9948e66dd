import assert from 'node:assert/strict';
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type Config,
  type FeedOptions,
  parseConfig,
  SnapshotCache,
  SnapshotFeed,
  type SnapshotSource,
  type SourceState,
  storeSource,
} from '@sallyport/control';
import type { KeyRecord, Logger, Snapshot } from '@sallyport/core';
import { openStore, type StoredKey } from '@sallyport/store';
import { FakeClock } from '@sallyport/testkit/clock';
import { temporaryDirectory } from '@sallyport/testkit/tempdir';
import fc from 'fast-check';

const { config } = parseConfig('upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: m, upstream: u }]');
const renamed: Config = parseConfig('upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: other, upstream: u }]').config;

function key(id: string, revokedAt: number | null = null): StoredKey {
  return {
    id,
    name: id,
    digests: [],
    principal: id,
    kind: 'application',
    tenant: 'default',
    user: null,
    team: null,
    roles: ['user'],
    models: null,
    allowedIps: null,
    expiresAt: null,
    revokedAt,
    limits: [],
    createdAt: 0,
    createdBy: 'x',
    lifetime: null,
    lastUsedAt: null,
    revokeReason: null,
  };
}

/** Waits for the disk, while the tests' own time stands still. */
const realTimeout: typeof setTimeout = setTimeout;

/** A source that does as it is told: answers, fails, hangs, or hangs in the middle of a load. */
class FakeSource implements SnapshotSource {
  mode: 'up' | 'down' | 'hang' | 'hang-load' | 'nonsense' = 'up';
  id: string | null = 'one';
  number = 1;
  keys: KeyRecord[] = [key('k1'), key('k2')];
  asked = 0;
  loads = 0;

  version(): Promise<number> {
    this.asked += 1;
    if (this.mode === 'down') return Promise.reject(new Error('connect ECONNREFUSED db.internal'));
    if (this.mode === 'hang') return new Promise(() => undefined);
    if (this.mode === 'nonsense') return Promise.resolve(Number.NaN);
    return Promise.resolve(this.number);
  }

  load(): Promise<SourceState> {
    this.loads += 1;
    if (this.mode === 'hang-load') return new Promise(() => undefined);
    return Promise.resolve({ id: this.id, version: this.number, keys: this.keys, roles: [] });
  }

  revoke(id: string): void {
    this.keys = this.keys.map((each) => (each.id === id ? { ...each, revokedAt: 1 } : each));
    this.number += 1;
  }
}

describe('a feed', () => {
  let clock: FakeClock;
  let source: FakeSource;
  let feed: SnapshotFeed | null = null;
  const log: string[] = [];
  const logger: Logger = {
    debug: (event) => void log.push(event),
    info: (event) => void log.push(event),
    warn: (event, fields) => void log.push(`${event} ${JSON.stringify(fields)}`),
    error: (event, fields) => void log.push(`${event} ${JSON.stringify(fields)}`),
  };

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    clock = new FakeClock(1_000_000);
    source = new FakeSource();
    log.length = 0;
  });
  afterEach(async () => {
    await feed?.close();
    feed = null;
    mock.timers.reset();
  });

  /** Lets time pass in small steps, with everything that waits for it. */
  async function pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      clock.advance(50);
      mock.timers.tick(50);
      await turn();
    }
  }

  /** Waits for something that may itself wait for time to pass. */
  async function passUntil<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    for (let round = 0; round < 20 && !settled; round++) await turn();
    for (let round = 0; round < 2_000 && !settled; round++) await pass(50);
    assert.ok(settled);
    return promise;
  }

  async function start(options: Partial<FeedOptions> = {}): Promise<SnapshotFeed> {
    feed = await SnapshotFeed.start({ source, config, cache: null, clock, logger, ...options });
    return feed;
  }

  const revoked = (snapshot: Snapshot | null): string[] =>
    [...(snapshot?.keys.values() ?? [])].filter((each) => each.revokedAt !== null).map((each) => each.id);

  test('has the first snapshot when it is started', async () => {
    const { current, status } = await start();
    assert.equal(current?.keys.size, 2);
    assert.deepEqual(status, { version: 1, sourceVersion: 1, origin: 'source', staleSince: null, reason: null, cached: true });
  });

  test('takes up a revocation within two seconds, and builds nothing while nothing changes', async () => {
    const running = await start();
    await pass(5_000);
    assert.equal(running.current?.version, 1);
    assert.equal(source.loads, 1);
    source.revoke('k1');
    await pass(600);
    assert.deepEqual(revoked(running.current), ['k1']);
    assert.equal(running.current?.version, 2);
  });

  test('takes up a change at once when asked', async () => {
    const running = await start();
    source.revoke('k2');
    const status = await running.refresh();
    assert.deepEqual(revoked(running.current), ['k2']);
    assert.equal(status.sourceVersion, 2);
  });

  test('a change made while a look is in progress is seen by a refresh asked for after it', async () => {
    const running = await start();
    const gates: (() => void)[] = [];
    const slow = mock.method(source, 'version', () => {
      const seen = source.number;
      return new Promise<number>((resolve) => gates.push(() => resolve(seen)));
    });
    const first = running.refresh();
    await turn();
    source.revoke('k1');
    const others = [running.refresh(), running.refresh(), running.refresh()];
    gates.shift()?.();
    await first;
    assert.deepEqual(revoked(running.current), []);
    await turn();
    gates.shift()?.();
    await Promise.all(others);
    assert.deepEqual(revoked(running.current), ['k1']);
    assert.equal(slow.mock.callCount(), 2);
    slow.mock.restore();
  });

  test('goes on with what it has while the source is away, and says since when', async () => {
    const running = await start();
    await pass(500);
    const before = clock.now();
    source.mode = 'down';
    await pass(10_000);
    assert.equal(running.current?.keys.size, 2);
    assert.equal(running.status.reason, 'unreachable');
    assert.ok((running.status.staleSince ?? 0) <= before);
    assert.ok((running.status.staleSince ?? 0) > before - 1_000);
    assert.equal(log.filter((line) => line.startsWith('snapshot.source-failed')).length, 1);
    assert.doesNotMatch(log.join('\n'), /db\.internal/);
    source.mode = 'up';
    await pass(600);
    assert.equal(running.status.staleSince, null);
    assert.ok(log.includes('snapshot.source-back'));
  });

  for (const mode of ['down', 'hang', 'hang-load', 'nonsense'] as const) {
    test(`takes up what was revoked during an outage (${mode}) within two seconds of its end`, async () => {
      const running = await start();
      if (mode === 'hang-load') source.number += 1;
      source.mode = mode;
      await pass(7_300);
      assert.equal(running.current?.version, 1);
      assert.notEqual(running.status.staleSince, null);
      source.revoke('k1');
      await pass(1_000);
      source.mode = 'up';
      await pass(2_000);
      assert.deepEqual(revoked(running.current), ['k1']);
      assert.equal(running.status.staleSince, null);
    });
  }

  test('says what is wrong with the source', async () => {
    const running = await start();
    for (const [mode, reason] of [
      ['hang', 'timeout'],
      ['nonsense', 'unusable'],
      ['down', 'unreachable'],
      ['up', null],
    ] as const) {
      source.mode = mode;
      await pass(2_000);
      assert.equal(running.status.reason, reason);
    }
    source.keys = [key('same'), key('same')];
    source.number += 1;
    await pass(1_000);
    assert.equal(running.status.reason, 'unusable');
    assert.equal(running.current?.keys.size, 2);
  });

  test('gives a slow load the time it needs', async () => {
    const slow = mock.method(
      source,
      'load',
      () => new Promise<SourceState>((resolve) => setTimeout(() => resolve({ keys: source.keys, roles: [] }), 8_000)),
    );
    const running = await passUntil(start());
    assert.equal(running.current?.keys.size, 2);
    source.revoke('k1');
    await pass(9_000);
    assert.deepEqual(revoked(running.current), ['k1']);
    slow.mock.restore();
  });

  test('waits without a snapshot until there is one', async () => {
    source.mode = 'down';
    const running = await start();
    const routes = (): string[] | null => (running.current === null ? null : [...running.current.routes.keys()]);
    assert.equal(routes(), null);
    assert.deepEqual(running.status, {
      version: null,
      sourceVersion: null,
      origin: null,
      staleSince: 1_000_000,
      reason: 'unreachable',
      cached: true,
    });
    assert.equal(running.reload(renamed), null);
    source.mode = 'up';
    await pass(600);
    assert.deepEqual(routes(), ['other']);
  });

  test('does not follow a source that went back, unless it is another one', async () => {
    source.number = 10;
    const running = await start();
    source.revoke('k1');
    await running.refresh();
    source.number = 4;
    source.keys = [key('k1'), key('k2')];
    await pass(1_000);
    assert.deepEqual(revoked(running.current), ['k1']);
    assert.equal(running.status.reason, 'went-back');
    assert.equal(running.status.sourceVersion, 11);
    source.id = null;
    await pass(1_000);
    assert.deepEqual(revoked(running.current), ['k1'], 'a source that cannot say who it is does not count as another');
    const { loads } = source;
    await pass(5_000);
    assert.equal(source.loads, loads, 'what was refused is not loaded again and again');
    source.id = 'two';
    source.number = 5;
    await pass(1_000);
    assert.deepEqual(revoked(running.current), []);
    assert.equal(running.status.sourceVersion, 5);
    assert.equal(running.status.reason, null);
  });

  test('takes up a new configuration at once, also while the source is away', async () => {
    const running = await start();
    source.mode = 'down';
    await pass(1_000);
    const snapshot = running.reload(renamed);
    assert.deepEqual([...(snapshot?.routes.keys() ?? [])], ['other']);
    assert.equal(snapshot?.version, 2);
    assert.equal(snapshot?.keys.size, 2);
    assert.notEqual(running.status.staleSince, null);
  });

  test('tells its subscribers of every snapshot until they leave, whatever one of them does', async () => {
    const running = await start();
    const seen: number[] = [];
    running.subscribe(() => {
      throw new Error('defect');
    });
    const leave = running.subscribe((snapshot) => seen.push(snapshot.version));
    source.revoke('k1');
    await running.refresh();
    running.reload(renamed);
    leave();
    source.revoke('k2');
    await running.refresh();
    assert.deepEqual(seen, [2, 3]);
    assert.equal(running.current?.version, 4);
    assert.equal(log.filter((line) => line.startsWith('snapshot.subscriber-failed')).length, 3);
  });

  test('asks no more once it is closed, even in the middle of a question', async () => {
    const running = await start();
    source.mode = 'hang';
    await pass(600);
    await running.close();
    const { asked } = source;
    await pass(5_000);
    assert.equal(source.asked, asked);
    source.mode = 'up';
    source.revoke('k1');
    await running.refresh();
    assert.deepEqual(revoked(running.current), []);
  });

  test('never goes back in version, whatever the source does', async () => {
    const step = fc.constantFrom('revoke', 'down', 'up', 'hang', 'back', 'other', 'reload', 'refresh', 'pass');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        source = new FakeSource();
        const running = await start();
        let last = running.current?.version ?? 0;
        const stop = running.subscribe((snapshot) => {
          assert.equal(snapshot.version, last + 1);
          last = snapshot.version;
        });
        for (const each of steps) {
          if (each === 'revoke') source.revoke('k1');
          else if (each === 'down' || each === 'up' || each === 'hang') source.mode = each;
          else if (each === 'back') source.number -= 2;
          else if (each === 'other') source.id = `${source.id}x`;
          else if (each === 'reload') running.reload(config);
          else if (each === 'pass') await pass(600);
          else await passUntil(running.refresh());
          assert.equal(running.current?.version, last);
        }
        stop();
        await running.close();
      }),
      { numRuns: 30 },
    );
  });

  describe('with a cached file', () => {
    // Feeds are closed before their directory goes: what is written meanwhile would make its removal wait for a clock that stands still.
    const pepper: KeyObject = createSecretKey(randomBytes(32));

    test('starts from it while the source is away', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      source.revoke('k1');
      await (await start({ cache })).close();
      const writtenAt = clock.now();
      await pass(60_000);
      source.mode = 'down';
      await using again = await start({ cache });
      assert.deepEqual(revoked(again.current), ['k1']);
      assert.equal(again.current?.version, 2);
      assert.deepEqual(again.status, {
        version: 2,
        sourceVersion: 2,
        origin: 'cache',
        staleSince: writtenAt,
        reason: 'unreachable',
        cached: true,
      });
      source.mode = 'up';
      source.revoke('k2');
      await pass(600);
      assert.deepEqual(revoked(again.current), ['k1', 'k2']);
      assert.equal(again.status.origin, 'source');
      assert.equal(again.current?.version, 3);
    });

    test('starts from it in a second where the source hangs, and takes up the source when it answers', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      await (await start({ cache })).close();
      source.revoke('k1');
      source.mode = 'hang-load';
      const starting = start({ cache });
      await until(() => source.loads === 2);
      const begun = clock.now();
      await using again = await passUntil(starting);
      assert.ok(clock.now() - begun <= 1_100);
      assert.equal(again.status.origin, 'cache');
      source.mode = 'up';
      await pass(5_000);
      assert.deepEqual(revoked(again.current), ['k1']);
    });

    test('takes keys from it and everything else from the configuration of now', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      const roles = parseConfig('roles: [{ name: temporary, actions: [key.create] }]').config;
      await (await start({ cache, config: roles })).close();
      source.mode = 'down';
      await using running = await start({ cache, config: renamed });
      const { current } = running;
      assert.deepEqual([...(current?.routes.keys() ?? [])], ['other']);
      assert.equal(current?.keys.size, 2);
      assert.equal(current?.roles.has('temporary'), false);
    });

    test('does not follow a source that is older than it', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      source.number = 20;
      source.revoke('k1');
      await (await start({ cache })).close();
      source.number = 5;
      source.keys = [key('k1')];
      await using again = await start({ cache });
      assert.deepEqual(revoked(again.current), ['k1']);
      assert.equal(again.status.reason, 'went-back');
    });

    test('does without it where it was changed, and writes it anew', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      source.revoke('k1');
      await (await start({ cache })).close();
      const text = await readFile(cache.path, 'utf8');
      await writeFile(cache.path, text.replace('"revokedAt":1', '"revokedAt":9'));
      source.mode = 'down';
      await using again = await start({ cache });
      assert.equal(again.current, null);
      assert.ok(log.some((line) => line.includes('snapshot.cache-unusable') && line.includes('changed')));
      source.mode = 'up';
      await pass(600);
      await again.close();
      assert.deepEqual(revoked((await cache.read())?.snapshot ?? null), ['k1']);
    });

    test('goes on where it cannot be written, says so, and writes it when it can', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('gone', 'snapshot.json'), pepper);
      await using running = await start({ cache });
      await until(() => !running.status.cached);
      source.revoke('k1');
      await running.refresh();
      assert.deepEqual(revoked(running.current), ['k1']);
      await mkdir(directory.file('gone'));
      await pass(600);
      await until(() => running.status.cached);
      assert.deepEqual(revoked((await cache.read())?.snapshot ?? null), ['k1']);
    });

    test('has the last of many snapshots', async () => {
      await using directory = await temporaryDirectory();
      const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
      await using running = await start({ cache });
      for (let count = 0; count < 20; count++) {
        source.revoke('k1');
        await running.refresh();
      }
      await running.close();
      assert.equal((await cache.read())?.snapshot.version, 21);
    });

    async function until(met: () => boolean): Promise<void> {
      for (let round = 0; round < 1_000 && !met(); round++) await new Promise((resolve) => realTimeout(resolve, 5));
      assert.ok(met());
    }
  });
});

describe('a feed over a store', () => {
  test('takes up a key that was made and one that was revoked', async () => {
    await using directory = await temporaryDirectory();
    await using store = await openStore(`sqlite:${directory.file('state.db')}`);
    await store.write(async ({ keys }) => keys.insert(key('k1')));
    await using feed = await SnapshotFeed.start({ source: storeSource(store), config, cache: null, interval: 20 });
    assert.deepEqual([...(feed.current?.keys.keys() ?? [])], ['k1']);
    await store.write(async ({ keys }) => {
      await keys.insert(key('k2'));
    });
    await feed.refresh();
    assert.equal(feed.current?.keys.size, 2);
    const seen = new Promise<Snapshot>((resolve) => feed.subscribe(resolve));
    await store.write(async ({ keys }) => {
      await keys.revoke('k1', Date.now(), null);
    });
    assert.notEqual((await seen).keys.get('k1')?.revokedAt, null);
    assert.equal(feed.status.sourceVersion, await store.version());
  });

  test('goes on when the store is closed under it', async () => {
    await using directory = await temporaryDirectory();
    const store = await openStore(`sqlite:${directory.file('state.db')}`);
    await store.write(async ({ keys }) => keys.insert(key('k1')));
    await using feed = await SnapshotFeed.start({ source: storeSource(store), config, cache: null, interval: 20 });
    await store.close();
    const status = await feed.refresh();
    assert.equal(status.reason, 'unreachable');
    assert.equal(feed.current?.keys.size, 1);
  });
});
