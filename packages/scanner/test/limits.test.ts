import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { openFile, Spool, scanFile, scanPath } from '../src/index.ts';
import * as w from './writers.ts';
import { bytes, EVIL, PLAIN, pk, rulesOf, scanBytes, u32, u64 } from './writers.ts';

describe('limits are findings', () => {
  it('a bomb stops a few mebibytes in, whatever it is wrapped in', async () => {
    const zeros = Buffer.alloc(40 * 2 ** 20);
    for (const bomb of [
      deflateSync(zeros),
      gzipSync(zeros),
      w.zip([{ name: 'data.pkl', content: zeros, deflate: true }]),
      gzipSync(gzipSync(zeros)),
    ]) {
      const report = await scanBytes(bomb);
      assert.equal(report.verdict, 'malformed');
      assert.ok(rulesOf(report).includes('limit-ratio'));
    }
  });
  it('what was found before the limit stands', async () => {
    const report = await scanBytes(
      w.zip([
        { name: 'bomb', content: Buffer.alloc(40 * 2 ** 20), deflate: true },
        { name: 'data.pkl', content: EVIL },
      ]),
    );
    assert.equal(report.verdict, 'malicious');
  });
  it('nesting, entries, time and expansion', async () => {
    let nested = w.zip([{ name: 'x', content: PLAIN }]);
    for (let depth = 0; depth < 7; depth += 1) nested = w.zip([{ name: 'i.zip', content: nested }]);
    const deep = await scanBytes(nested);
    assert.equal(deep.verdict, 'inconclusive');
    assert.deepEqual(rulesOf(deep), ['limit-depth']);
    const many = w.zip(Array.from({ length: 20 }, (_, index) => ({ name: `m${index}`, content: PLAIN })));
    assert.deepEqual(rulesOf(await scanBytes(many, 'file', { entries: 10 })), ['limit-entries', 'zip-mismatch']);
    assert.equal((await scanBytes(PLAIN, 'file', { time: -1 })).verdict, 'inconclusive');
    const report = await scanBytes(gzipSync(Buffer.alloc(100_000, 'abc')), 'file', { expanded: 50_000 });
    assert.equal(report.verdict, 'inconclusive');
  });
  it('lengths beyond the file allocate nothing and are malformed', async () => {
    for (const broken of [
      bytes(pk.proto(2), 0x8b, u32(2 ** 31 - 1)),
      bytes(pk.proto(4), 0x8e, u64(2n ** 62n), 'x'),
      bytes(pk.proto(4), 'X', u32(2 ** 32 - 1), 'x'),
    ]) {
      const report = await scanBytes(broken);
      assert.equal(report.verdict, 'malformed', JSON.stringify(report.findings));
    }
    assert.ok(rulesOf(await scanBytes(bytes(pk.proto(4), 'Nr', u32(2 ** 31 - 1), '.'))).includes('pickle-memo'));
  });
  it('strings of a GGUF file longer than anybody writes', async () => {
    const template = w.gguf([['tokenizer.chat_template', 'x'.repeat(200)]]);
    assert.deepEqual(rulesOf(await scanBytes(template, 'file', { document: 100 })), ['limit-document']);
    assert.equal((await scanBytes(w.gguf([['general.name', 'x'.repeat(200)]]), 'file', { document: 100 })).verdict, 'clean');
    const key = await scanBytes(w.gguf([['k'.repeat(65_536), 'x']]));
    assert.deepEqual([key.verdict, rulesOf(key)], ['malformed', ['gguf-broken']]);
    // Sparse, and longer than a string of JavaScript may be.
    const directory = mkdtempSync(join(tmpdir(), 'gguf-'));
    try {
      const path = join(directory, 'model.gguf');
      const name = Buffer.from('tokenizer.chat_template');
      const head = (key: Buffer | string, ...rest: Buffer[]): Buffer => bytes('GGUF', u32(3), u64(0), u64(1), key, ...rest);
      for (const [start, rule] of [
        [head(bytes(u64(name.length), name), u32(8), u64(2 ** 30)), 'limit-document'],
        [head(u64(2 ** 30)), 'gguf-broken'],
      ] as const) {
        writeFileSync(path, start);
        truncateSync(path, 2 ** 30 + 100);
        assert.deepEqual(rulesOf(await scanPath(path, { hash: false })), [rule]);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  it('numbers of an ONNX attribute cost a sixteenth of a step', async () => {
    const forest = w.onnx(
      w.onnxNode('TreeEnsembleRegressor', 'ai.onnx.ml', w.field(5, bytes(...new Array<Buffer>(8000).fill(w.number(8, 1))))),
    );
    assert.equal((await scanBytes(forest, 'file', { work: 2000 })).verdict, 'clean');
    assert.deepEqual(rulesOf(await scanBytes(forest, 'file', { work: 400 })), ['limit-work']);
  });
  it('objects that unfold beyond measure', async () => {
    const layers = Array.from({ length: 40 }, (_, index) => bytes('(h', index, 'h', index, 'h', index, 'h', index, 'l', 0x94, '0'));
    const report = await scanBytes(bytes(pk.proto(4), '(l', 0x94, '0', ...layers, 'h', 40, '.'));
    assert.deepEqual(rulesOf(report), ['pickle-expansion']);
    assert.equal(report.verdict, 'malformed');
  });
  it('findings are kept up to their limit, and the verdict counts those beyond', async () => {
    const calls = Array.from({ length: 50 }, (_, index) => bytes(pk.call('some.module', `f${index}`), '0'));
    const report = await scanBytes(bytes(pk.proto(4), ...calls, pk.call('os', 'system'), '.'), 'file', { findings: 5 });
    assert.equal(report.findings.length, 5);
    assert.equal(report.verdict, 'malicious');
  });
  it('what no pickler writes a million of ends a walk, and what it does write does not', async () => {
    const many = (pattern: string): Buffer => Buffer.alloc(4_500_000, pattern, 'latin1');
    const state = bytes(pk.call('collections', 'OrderedDict'), many('}b'));
    for (const body of [bytes(many('N0'), 'N'), bytes(many('(1'), 'N'), bytes(many(`N${'\x85'.repeat(4000)}0`), 'N')]) {
      const report = await scanBytes(bytes(pk.proto(4), body, '.'), 'file', { work: 1_000_000 });
      assert.deepEqual([report.verdict, rulesOf(report)], ['inconclusive', ['limit-work']]);
    }
    // A second state is reported as well.
    const report = await scanBytes(bytes(pk.proto(4), state, '.'), 'file', { work: 1_000_000 });
    assert.deepEqual([report.verdict, rulesOf(report)], ['suspicious', ['limit-work', 'pickle-computed-call']]);
    const lists = bytes(
      pk.proto(4),
      ']',
      Buffer.alloc(6_000_000, `(${'K\x01'.repeat(999)}e`, 'latin1').subarray(0, 5_999_999 - (5_999_999 % 2000)),
      '.',
    );
    const lines = bytes('(l', Buffer.alloc(4_000_000, 'I1\na'), '.');
    for (const honest of [lists, lines]) assert.deepEqual((await scanBytes(honest, 'file', { work: 1000 })).findings, []);
  });
  it('short members that each come to hundreds of times their size end an archive together', async () => {
    const content = Buffer.alloc(2 ** 20, 'abcdefgh');
    const members = (count: number): w.ZipMember[] =>
      Array.from({ length: count }, (_, index) => ({ name: `${index}`, content, deflate: true }));
    assert.equal((await scanBytes(w.zip(members(20)))).verdict, 'clean');
    const report = await scanBytes(w.zip(members(60)));
    assert.deepEqual([report.verdict, rulesOf(report)], ['malformed', ['limit-ratio', 'limit-work']]);
  });
  it('more deflated members than any model has end an archive, stored ones do not', async () => {
    const members = (deflate: boolean): w.ZipMember[] =>
      Array.from({ length: 300 }, (_, index) => ({ name: `${index}`, content: PLAIN, deflate }));
    const limits = { work: 30_000 };
    assert.deepEqual(rulesOf(await scanBytes(w.zip(members(true)), 'file', limits)), ['limit-work']);
    assert.equal((await scanBytes(w.zip(members(false)), 'file', limits)).verdict, 'clean');
  });
  it('a payload where loaders look for one is named, whatever else ends the archive', async () => {
    const many = (count: number, content: Buffer): w.ZipMember[] =>
      Array.from({ length: count }, (_, index) => ({ name: `a/data/${index}`, content, deflate: true }));
    const evil = (name: string, deflate: boolean): w.ZipMember => ({ name, content: EVIL, deflate });
    const behind = async (members: w.ZipMember[], last: w.ZipMember, work: number): Promise<string> =>
      (await scanBytes(w.zip([...members, last]), 'file', { work })).verdict;
    const texts = many(300, PLAIN);
    const swelling = many(60, Buffer.alloc(2 ** 20, 'abcdefgh'));
    for (const [name, deflate] of [['a/data.pkl', true], ['a/x.pkl', true], ['a/x', false]] as const) // biome-ignore format: one line
      assert.deepEqual(
        [await behind(texts, evil(name, deflate), 30_000), await behind(swelling, evil(name, deflate), 4_000_000)],
        ['malicious', 'malicious'],
        name,
      );
    // Findings on members take steps too.
    const twice = Array.from({ length: 300 }, () => ({ name: '../x', content: PLAIN }));
    assert.equal(await behind(twice, evil('a/data.pkl', true), 4000), 'malicious');
    assert.equal(await behind(texts, { name: 'a/data.pkl', content: PLAIN }, 30_000), 'inconclusive');
    assert.equal(await behind(swelling, { name: 'a/data.pkl', content: PLAIN }, 4_000_000), 'malformed');
  });
  it('a spool beyond its memory goes to a file that is gone afterwards', () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-scan-')).length;
    {
      using spool = new Spool(1000);
      for (let index = 0; index < 100; index += 1) spool.write(Buffer.alloc(100, index));
      const source = spool.source();
      assert.equal(source.size, 10_000);
      assert.equal(source.read(9_950, 100).length, 50);
      assert.equal(source.read(5_050, 1)[0], 50);
    }
    assert.equal(readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-scan-')).length, before);
  });
});

describe('files', () => {
  it('the report is bound to the digest and the rules; a file that cannot be read is inconclusive', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'scanner-'));
    try {
      const path = join(directory, 'm.pkl');
      writeFileSync(path, PLAIN);
      const report = await scanPath(path);
      assert.equal(report.sha256, '9a91928177d1cedb6eb80ca7f3f4f8d08c28b2e8a6ce7faf2f556d14dff310b8');
      assert.match(report.rules, /^\d{4}\./);
      assert.equal(report.verdict, 'clean');
      for (const missing of [join(directory, 'none'), directory]) assert.equal((await scanPath(missing)).verdict, 'inconclusive');
      writeFileSync(path, '');
      assert.equal((await scanPath(path)).format, 'empty');
      using source = openFile(path);
      await assert.rejects(
        scanFile(
          { ...source, size: 2 ** 30, read: (_, length) => Buffer.alloc(Math.min(length, 8)), readInto: (_, target) => target.length },
          { path, signal: AbortSignal.abort() },
        ),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
