import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rulesOf, scanBytes } from './writers.ts';

type Encode = (text: string) => Buffer;
const swap = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();
const wide = (text: string): Buffer => {
  const bytes = Buffer.alloc(4 * [...text].length);
  for (const [index, character] of [...text].entries()) bytes.writeUInt32LE(character.codePointAt(0) ?? 0, 4 * index);
  return bytes;
};
const ENCODINGS: Readonly<Record<string, Encode>> = {
  'UTF-16, little end first, without a mark': (text) => Buffer.from(text, 'utf16le'),
  'UTF-16, big end first, without a mark': (text) => swap(Buffer.from(text, 'utf16le')),
  'UTF-16 with a mark': (text) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  'UTF-16, big end first, with a mark': (text) => swap(Buffer.from(`\ufeff${text}`, 'utf16le')),
  'UTF-32, little end first': (text) => wide(text),
  'UTF-32, big end first, with a mark': (text) => Buffer.from(wide(`\ufeff${text}`)).swap32(),
};
const XXE = '<?xml version="1.0"?><!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]><PMML version="4.4">&x;</PMML>';
const MALICIOUS: Readonly<Record<string, string>> = {
  'an external entity': XXE,
  'a YAML tag': 'model: !!python/object/apply:os.system ["echo INERT"]\n',
  'a template in JSON': JSON.stringify({ chat_template: '{{ cycler.__init__.__globals__ }}' }),
};

describe('text of two or four bytes a character', () => {
  for (const [encoding, encode] of Object.entries(ENCODINGS)) {
    for (const [what, text] of Object.entries(MALICIOUS))
      it(`${what} in ${encoding}`, async () => assert.equal((await scanBytes(encode(text))).verdict, 'malicious'));
    it(`plain text, XML and JSON in ${encoding} are clean`, async () => {
      for (const text of [
        'a model\nof two lines, äöü\n',
        '<?xml version="1.0"?><PMML version="4.4"><Header/></PMML>',
        '{"model_type": "bert"}',
      ]) {
        const { verdict, format } = await scanBytes(encode(text));
        assert.equal(verdict, 'clean');
        assert.notEqual(format, 'data');
      }
    });
  }
  it('XML in EBCDIC or UTF-7 is not taken for scanned', async () => {
    assert.equal((await scanBytes(Buffer.from('4c6fa79493406d85', 'hex'))).verdict, 'not-scanned');
    assert.equal((await scanBytes(Buffer.from('<?xml version="1.0" encoding="UTF-7"?>+ADw-PMML/+AD4-'))).verdict, 'not-scanned');
  });
});

describe('every way to write an XInclude', () => {
  const space = 'http://www.w3.org/2001/XInclude';
  const forms: readonly string[] = [
    `<a xmlns:i="${space}"><i:include href  =  "/etc/passwd"/></a>`,
    `<a xmlns:i="${space}"><i:include xpointer="a>b" href="/etc/passwd"/></a>`,
    `<a xmlns:i="${space}"><i:include ${' '.repeat(1500)}href="/etc/passwd"/></a>`,
    `<a xmlns:é="${space}"><é:include href="/etc/passwd"/></a>`,
    `<a xmlns:i="${space.replace('w', '&#x77;')}"><i:include href="/etc/passwd"/></a>`,
  ];
  for (const [index, form] of forms.entries())
    it(`form ${index}`, async () => {
      const report = await scanBytes(Buffer.from(`<?xml version="1.0"?>${form}`));
      assert.ok(rulesOf(report).includes('xml-external'), JSON.stringify(report.findings));
    });
});

describe('XInclude', () => {
  const document = (href: string): Buffer =>
    Buffer.from(`<?xml version="1.0"?><PMML xmlns:i="http://www.w3.org/2001/XInclude"><i:include parse="text" href="${href}"/></PMML>`);
  it('out of the directory is malicious, from an address suspicious, beside the document clean', async () => {
    assert.equal((await scanBytes(document('file:///etc/passwd'))).verdict, 'malicious');
    assert.equal((await scanBytes(document('../../secret'))).verdict, 'malicious');
    assert.equal((await scanBytes(document('&#47;etc/passwd'))).verdict, 'malicious');
    assert.equal((await scanBytes(document('http://models.example/x'))).verdict, 'suspicious');
    assert.equal((await scanBytes(document('chapter.xml'))).verdict, 'clean');
  });
});
