import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import {
  formatCheckpoint,
  formatVerifierKey,
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  type SignatureType,
  signCheckpoint,
} from '../src/checkpoint.ts';
import { createSigner } from '../src/keys.ts';
import { formatNote, keyIdOf, MalformedNote, parseNote } from '../src/note.ts';

// Examples of c2sp.org/signed-note and c2sp.org/tlog-cosignature (C2SP repository, commit 5ba5ee8).
const NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;
const VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const POEM = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`;
const CHECKPOINT = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`;

test('the signed-note example parses, verifies under its vkey and formats to the same bytes', () => {
  const note = parseNote(NOTE);
  assert.equal(note.text, 'This is an example message.\n');
  assert.equal(formatNote(note), NOTE);
  const key = parseVerifierKey(VKEY);
  assert.equal(key.keyId, 0x530d903a);
  const [signature] = note.signatures;
  assert.ok(signature !== undefined);
  assert.equal(signature.keyId, key.keyId);
  assert.ok(verify(null, Buffer.from(note.text), key.publicKey, signature.signature));
  assert.equal(formatVerifierKey('example.com/foo', 1, key.publicKey), VKEY);
});

test('a note whose text has empty lines keeps them', () => {
  const note = parseNote(POEM);
  assert.match(note.text, /sole:\n\ned è subito sera\.\n$/);
  assert.equal(formatNote(note), POEM);
});

test('the checkpoint example parses and formats to the same bytes', () => {
  const { text, signatures } = parseNote(CHECKPOINT);
  const checkpoint = parseCheckpoint(text);
  assert.equal(checkpoint.origin, 'example.com/behind-the-sofa');
  assert.equal(checkpoint.size, 20852163);
  assert.equal(formatNote({ text: formatCheckpoint(checkpoint), signatures }), CHECKPOINT);
  // The time that the example's cosignature carries, as the specification's text shows it.
  assert.equal(signatures[1]?.signature.readBigUInt64BE(0), 1679315147n);
});

test('a signature of a key that nobody trusts is ignored', () => {
  assert.deepEqual(openCheckpoint(CHECKPOINT, [parseVerifierKey(VKEY)]).signatures, []);
});

const checkpoint = { origin: 'example.com/log', size: 42, root: Buffer.alloc(32, 7) };

for (const [type, algorithm] of [
  [1, 'ed25519'],
  [4, 'ed25519'],
  [6, 'ml-dsa-44'],
] as [SignatureType, 'ed25519'][]) {
  test(`type ${type} (${algorithm}) signs, verifies, and fails for any other checkpoint, time or name`, () => {
    const { privateKey, publicKey } = generateKeyPairSync(algorithm);
    const key = { type, privateKey, publicKey };
    const vkey = parseVerifierKey(formatVerifierKey('example.com/log', type, publicKey));
    const signature = signCheckpoint(checkpoint, 'example.com/log', key, 1_700_000_000);
    const note = formatNote({ text: formatCheckpoint(checkpoint), signatures: [signature] });
    const [good] = openCheckpoint(note, [vkey]).signatures;
    assert.equal(good?.seconds, type === 1 ? null : 1_700_000_000);
    const bigger = formatNote({ text: formatCheckpoint({ ...checkpoint, size: 43 }), signatures: [signature] });
    assert.throws(() => openCheckpoint(bigger, [vkey]), MalformedNote);
    for (const at of [0, 7, 8, signature.signature.length - 1]) {
      const altered = Buffer.from(signature.signature);
      altered[at] = (altered[at] ?? 0) ^ 1;
      const forged = formatNote({ text: formatCheckpoint(checkpoint), signatures: [{ ...signature, signature: altered }] });
      assert.throws(() => openCheckpoint(forged, [vkey]), MalformedNote);
    }
  });
}

test('the ML-DSA-44 message is the cosigned_message structure of tlog-cosignature', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ml-dsa-44');
  const { signature, keyId } = signCheckpoint(checkpoint, 'w.example', { type: 6, privateKey, publicKey }, 1_700_000_000);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(keyId, keyIdOf('w.example', 6, spki.subarray(-1312)));
  const message = Buffer.concat([
    Buffer.from('subtree/v1\n\0', 'latin1'),
    Buffer.of(9),
    Buffer.from('w.example'),
    Buffer.from('000000006553f100', 'hex'),
    Buffer.of(15),
    Buffer.from('example.com/log'),
    Buffer.alloc(8),
    Buffer.from('000000000000002a', 'hex'),
    Buffer.alloc(32, 7),
  ]);
  assert.equal(signature.length, 8 + 2420);
  assert.ok(verify(null, message, createPublicKey(privateKey), signature.subarray(8)));
});

test('a log signs with both algorithms under its origin', () => {
  const ed25519 = generateKeyPairSync('ed25519');
  const mlDsa44 = generateKeyPairSync('ml-dsa-44');
  const signer = createSigner([
    { type: 1, ...ed25519 },
    { type: 6, ...mlDsa44 },
  ]);
  const keys = signer.verifierKeys(checkpoint.origin).map(parseVerifierKey);
  const signed = openCheckpoint(signer.sign(checkpoint, 1_700_000_000), keys);
  assert.deepEqual(
    signed.signatures.map(({ key }) => key.type),
    [1, 6],
  );
  assert.deepEqual(signed.checkpoint, checkpoint);
});

const { privateKey } = generateKeyPairSync('ed25519');
const signed = NOTE.slice(NOTE.indexOf('—'));
const malformed: [string, string][] = [
  ['no signatures', 'text\n'],
  ['no final newline', NOTE.slice(0, -1)],
  ['a control character', NOTE.replace('example message', 'example\tmessage')],
  ['a carriage return', NOTE.replace('message.\n', 'message.\r\n')],
  ['a hyphen for the dash', NOTE.replace('—', '-')],
  ['base64 with spare bits', NOTE.replace('yaQM=', 'yaQN=')],
  ['base64 in the URL alphabet', NOTE.replace('+', '-').replace('/', '_')],
  ['a key name with a plus', NOTE.replace('example.com/foo U', 'example.com+foo U')],
  ['thirty-three signatures', `text\n\n${signed.repeat(33)}`],
  ['a lone surrogate', NOTE.replace('message', '\ud800')],
];

for (const [what, note] of malformed) {
  test(`refuses a note with ${what}`, () => {
    assert.notEqual(note, NOTE);
    assert.throws(() => {
      const { signatures } = parseNote(note);
      // A changed but well-formed base64 is a matter of the signature.
      if (signatures.length === 1) openCheckpoint(note, [parseVerifierKey(VKEY)]);
    }, MalformedNote);
  });
}

for (const text of [
  'o\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n',
  'o\n-1\nAA==\n',
  'o\n1\nAA==\n',
  '\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n',
  'o\n9007199254740993\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n',
  'o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n',
]) {
  test(`refuses the checkpoint text ${JSON.stringify(text).slice(0, 40)}`, () => {
    assert.throws(() => parseCheckpoint(text), MalformedNote);
  });
}

test('whatever parses as a note formats back to the same text, and nothing but MalformedNote is thrown', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((text) => `${text}\n\n${signed}`),
      ),
      (text) => {
        try {
          assert.equal(formatNote(parseNote(text)), text);
        } catch (error) {
          assert.ok(error instanceof MalformedNote);
        }
      },
    ),
  );
  assert.ok(sign(null, Buffer.from('x'), privateKey).length === 64);
});
