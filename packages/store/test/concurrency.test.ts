import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openStore, type Store } from '../src/index.ts';
import { aKey, DATABASES } from './databases.ts';

for (const kind of DATABASES) {
  describe(`writers side by side on ${kind.name}`, { skip: kind.skip }, () => {
    before(() => kind.start());
    after(() => kind.stop());

    test('no write is lost or seen half, and versions and change numbers have no gaps', async () => {
      const url = await kind.fresh();
      await using first = await openStore(url);
      await using second = await openStore(url);
      const increment = (store: Store): Promise<number> =>
        store.write(async (tables) => {
          const count = Number((await tables.settings.get('count')) ?? '0') + 1;
          await tables.settings.set('count', String(count));
          await tables.changes.append({ time: 1, actor: 'a', action: 'x', object: `n:${count}`, before: null, after: null });
          return tables.version;
        });
      const versions = await Promise.all(Array.from({ length: 30 }, (_, n) => increment(n % 2 === 0 ? first : second)));
      const expected = Array.from({ length: 30 }, (_, n) => n + 1);
      assert.deepEqual(
        versions.toSorted((a, b) => a - b),
        expected,
      );
      assert.equal(await second.settings.get('count'), '30');
      const changes = await first.changes.after(0, 100);
      assert.deepEqual(
        changes.map((change) => change.seq),
        expected,
      );
      assert.deepEqual(
        changes.map((change) => change.object),
        expected.map((n) => `n:${n}`),
      );
    });

    test('whoever sees a version sees all that was written with it', async () => {
      const url = await kind.fresh();
      await using writer = await openStore(url);
      await using reader = await openStore(url);
      let done = false;
      const writing = (async () => {
        for (let n = 1; n <= 20; n++) {
          await writer.write(async (tables) => {
            await tables.keys.insert(aKey({ id: `k${String(n).padStart(11, '0')}` }));
            await new Promise(setImmediate);
          });
        }
        done = true;
      })();
      while (!done) {
        const state = await reader.state(0);
        assert.equal(state.keys.length, state.version);
        await new Promise(setImmediate);
      }
      await writing;
      assert.equal((await reader.state(0)).keys.length, 20);
    });

    test('what a write reads stays true until it commits', async () => {
      const url = await kind.fresh();
      await using first = await openStore(url);
      await using second = await openStore(url);
      const claim = (store: Store, name: string): Promise<boolean> =>
        store.write(async (tables) => {
          if ((await tables.settings.get('owner')) !== null) return false;
          await new Promise(setImmediate);
          await tables.settings.set('owner', name);
          return true;
        });
      const won = await Promise.all([claim(first, 'a'), claim(second, 'b'), claim(first, 'c'), claim(second, 'd')]);
      assert.equal(won.filter(Boolean).length, 1);
    });
  });
}
