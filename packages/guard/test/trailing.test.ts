import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { trailingFrom } from '../src/detect/trailing.ts';
import { compileGuard } from '../src/index.ts';
import { INPUT, OUTPUT, readPieces, SETTINGS } from './streams.ts';

describe('signs at the end', () => {
  test('are told from those in between', () => {
    for (const [text, from] of [
      ['', 0],
      ['...', 0],
      ['a', 1],
      ['a.b', 3],
      ['..a.!.', 3],
    ] as const)
      assert.equal(trailingFrom(text, '.!'), from);
  });

  test('are left where they are, however many', () => {
    const guard = compileGuard({ ...SETTINGS, input: ['secrets', 'pii', 'entities'], output: ['exfiltration'] });
    const shown = (text: string): string => readPieces(guard, INPUT, [text]).released;
    const dots = '.'.repeat(50);
    assert.equal(shown('the password is Wq7-kfPz3v!!.'), 'the password is [SECRET]!!.');
    assert.equal(shown('write to ada@corp.io-- now'), 'write to [EMAIL_1]-- now');
    assert.equal(shown(`see https://corp.io/a${dots})`), `see [URL_1]${dots})`);
    const link = readPieces(guard, OUTPUT, [`go to https://evil.example/?data=c2VjcmV0IHByb2plY3Q${dots} now`]).released;
    assert.equal(link, `go to [LINK]${dots} now`);
  });
});
