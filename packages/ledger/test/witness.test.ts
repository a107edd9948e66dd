import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { systemClock } from '@sallyport/core';
import { formatVerifierKey, type SigningKey } from '../src/checkpoint.ts';
import { cosignLog, createSigner, LogLocked, verifyLedger, Witness, type WitnessAnswer, WitnessRefused } from '../src/index.ts';
import { formatNote, formatSignatureLine, parseNote, parseSignatureLine } from '../src/note.ts';
import { facts, openTestLedger, random, TemporaryDirectory, testKeys } from './support.ts';

const witnessKeys: SigningKey[] = [
  { type: 6, ...generateKeyPairSync('ml-dsa-44') },
  { type: 4, ...generateKeyPairSync('ed25519') },
];

async function logKeys(): Promise<string[]> {
  const { signer } = await testKeys();
  return signer.verifierKeys(`sallyport/${signer.fingerprint}/w1`);
}

async function openWitness(directory: string, keys = witnessKeys): Promise<Witness> {
  return Witness.open({
    directory: join(directory, 'witness'),
    name: 'witness.example/w1',
    keys,
    logs: await logKeys(),
    clock: systemClock,
    random,
  });
}

async function append(directory: string, count: number): Promise<void> {
  const ledger = await openTestLedger(directory);
  await Promise.all(Array.from({ length: count }, () => ledger.append(facts())));
  await ledger.close();
}

test('a witness cosigns a growing log, and the verifier counts it', async () => {
  await using directory = await TemporaryDirectory.create();
  await using witness = await openWitness(directory.path);
  const submit = (body: string): Promise<WitnessAnswer> => witness.addCheckpoint(body);
  for (const count of [1, 300, 5, 0]) {
    await append(directory.path, count);
    const cosigned = await cosignLog(directory.path, 'w1', witness.verifierKeys(), submit);
    assert.equal(await witness.newest(cosigned.slice(0, cosigned.indexOf('\n'))), cosigned);
  }
  const options = { publicKeys: await logKeys(), witnesses: witness.verifierKeys(), quorum: 1 };
  const report = await verifyLedger(directory.path, options);
  assert.deepEqual(report.logs[0]?.problems, []);
  assert.deepEqual(report.logs[0]?.checkpoint?.witnesses, ['witness.example/w1']);
  assert.equal((await verifyLedger(directory.path, { ...options, quorum: 2 })).ok, false);
  const { size, cosigned } = report.logs[0]?.checkpoint ?? {};
  assert.equal(cosigned?.size, size);
  // Nobody cosigned what comes now: the report tells how much, and since when.
  await append(directory.path, 7);
  const later = await verifyLedger(directory.path, { ...options, now: (cosigned?.time ?? 0) + 3_600_000 });
  assert.equal(later.ok, true);
  const { checkpoint } = later.logs[0] ?? {};
  assert.deepEqual(checkpoint?.cosigned, { size, time: cosigned?.time, age: 3_600_000 });
  assert.equal(checkpoint?.size, (size ?? 0) + 9);
  assert.equal((await verifyLedger(directory.path)).logs[0]?.checkpoint?.cosigned, null);
});

test('a witness that remembers more than the log tells its size, and is asked again from there', async () => {
  await using directory = await TemporaryDirectory.create();
  await using witness = await openWitness(directory.path);
  await append(directory.path, 10);
  const answers: number[] = [];
  const submit = async (body: string): Promise<WitnessAnswer> => {
    const answer = await witness.addCheckpoint(body);
    answers.push(answer.status);
    return answer;
  };
  await cosignLog(directory.path, 'w1', witness.verifierKeys(), submit);
  await append(directory.path, 10);
  // The log lost what the witness had said.
  await rm(join(directory.path, 'logs/w1/cosigned'));
  await cosignLog(directory.path, 'w1', witness.verifierKeys(), submit);
  assert.deepEqual(answers, [200, 409, 200]);
});

test('a witness does not cosign a fork, a rollback, a stranger, or what it cannot check', async () => {
  await using directory = await TemporaryDirectory.create();
  await using witness = await openWitness(directory.path);
  const { signer } = await testKeys();
  const origin = `sallyport/${signer.fingerprint}/w1`;
  const note = (size: number, fill: number): string => signer.sign({ origin, size, root: Buffer.alloc(32, fill) }, 1_800_000_000);
  const ask = async (body: string): Promise<number> => (await witness.addCheckpoint(body)).status;
  const hash = Buffer.alloc(32, 9).toString('base64');
  assert.equal(await ask(`old 1\n\n${note(0, 1)}`), 400);
  assert.equal(await ask(`old 0\n${hash}\n\n${note(5, 1)}`), 422);
  assert.equal(await ask(`old 0\n\n${note(0, 1)}`), 409);
  assert.equal(await ask(`old 0\n\n${note(5, 1)}`), 200);
  assert.equal(await ask(`old 5\n\n${note(5, 1)}`), 200);
  // The specification: equal sizes with different roots are a conflict, not a proof that fails.
  assert.equal(await ask(`old 5\n\n${note(5, 2)}`), 409);
  assert.equal(await ask(`old 5\n${hash}\n\n${note(6, 3)}`), 422);
  assert.equal(await ask(`old 0\n\n${note(6, 3)}`), 409);
  assert.equal(await ask(`old 6\n\n${note(5, 1)}`), 400);
  assert.equal((await witness.addCheckpoint(`old 3\n\n${note(5, 1)}`)).body, '5\n');
  const stranger = createSigner([{ type: 1, ...generateKeyPairSync('ed25519') }]);
  assert.equal(await ask(`old 5\n\n${stranger.sign({ origin, size: 6, root: Buffer.alloc(32) }, 1)}`), 403);
  assert.equal(await ask(`old 5\n\n${note(6, 3).replace('\n6\n', '\n7\n')}`), 403);
  assert.equal(await ask(`old 0\n\n${signer.sign({ origin: 'another', size: 6, root: Buffer.alloc(32) }, 1)}`), 404);
  for (const body of [
    '',
    'old 05\n\nx',
    `old 5\n${'A'.repeat(10)}\n\n${note(6, 3)}`,
    `old 5\n${`${hash}\n`.repeat(64)}\n${note(6, 3)}`,
    'x'.repeat(300_000),
  ]) {
    assert.equal(await ask(body), 400, body.slice(0, 30));
  }
});

test('a witness keeps its memory over a restart, and is one process', async () => {
  await using directory = await TemporaryDirectory.create();
  const { signer } = await testKeys();
  const origin = `sallyport/${signer.fingerprint}/w1`;
  const note = signer.sign({ origin, size: 5, root: Buffer.alloc(32, 1) }, 1_800_000_000);
  {
    await using witness = await openWitness(directory.path);
    assert.equal((await witness.addCheckpoint(`old 0\n\n${note}`)).status, 200);
    await assert.rejects(openWitness(directory.path), LogLocked);
  }
  await using witness = await openWitness(directory.path);
  assert.equal((await witness.addCheckpoint(`old 0\n\n${note}`)).status, 409);
});

test('of many requests at once for one size, the tree only ever grows', async () => {
  await using directory = await TemporaryDirectory.create();
  await using witness = await openWitness(directory.path);
  const { signer } = await testKeys();
  const origin = `sallyport/${signer.fingerprint}/w1`;
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      witness.addCheckpoint(`old 0\n\n${signer.sign({ origin, size: i + 1, root: Buffer.alloc(32, i) }, 1)}`),
    ),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, ...Array.from({ length: 9 }, () => 409)],
  );
});

test('an answer without a good cosignature of a known witness is no cosignature', async () => {
  await using directory = await TemporaryDirectory.create();
  await append(directory.path, 3);
  await using witness = await openWitness(directory.path);
  await using impostor = await openWitness(join(directory.path, 'other'), [{ type: 6, ...generateKeyPairSync('ml-dsa-44') }]);
  const keys = witness.verifierKeys();
  await assert.rejects(
    cosignLog(directory.path, 'w1', keys, (body) => impostor.addCheckpoint(body)),
    WitnessRefused,
  );
  for (const [status, body] of [
    [200, ''],
    [200, '\u2014 witness.example/w1 AAAAAAAA\n'],
    [403, 'no\n'],
    [409, '0\n'],
  ] as const) {
    await assert.rejects(
      cosignLog(directory.path, 'w1', keys, async () => ({ status, body })),
      WitnessRefused,
    );
  }
});

// Examples of c2sp.org/tlog-witness (C2SP repository, commit 8d77562).
const REQUEST = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`;
const RESPONSE = `\u2014 witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
\u2014 witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
\u2014 witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`;

test('the examples of tlog-witness are read, and written to the same bytes', async () => {
  await using directory = await TemporaryDirectory.create();
  const { publicKey } = generateKeyPairSync('ed25519');
  const log = formatVerifierKey('example.com/behind-the-sofa', 1, publicKey);
  const keys = { directory: directory.path, name: 'witness.example/w1', keys: witnessKeys, clock: systemClock, random };
  await using witness = await Witness.open({ ...keys, logs: [log] });
  // Its log's key is not published with it: read as a whole, and not signed by this one.
  assert.equal((await witness.addCheckpoint(REQUEST)).status, 403);
  assert.equal((await witness.addCheckpoint(REQUEST.replaceAll('sofa', 'bed'))).status, 404);
  assert.equal((await witness.addCheckpoint(REQUEST.replace('\n\n', '\n'))).status, 400);
  const note = REQUEST.slice(REQUEST.indexOf('\n\n') + 2);
  assert.equal(formatNote(parseNote(note)), note);
  const lines = RESPONSE.slice(0, -1).split('\n').map(parseSignatureLine);
  assert.equal(lines.map(formatSignatureLine).join(''), RESPONSE);
  assert.ok(
    lines.every(({ signature }) => signature.length === 72),
    'timestamped signatures of type 4',
  );
});
