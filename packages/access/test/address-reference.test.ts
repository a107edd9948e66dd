import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { classifyHost } from '../src/index.ts';

const PUBLIC = [
  'https://example.com/cat.png',
  'http://example.com',
  'https://example.com:8443/a?b=c#d',
  'HTTPS://Images.Example.COM/a%20b.png',
  'https://8.8.8.8/x',
  'https://8.8.8.8:443/x',
  'https://[2606:4700:4700::1111]/x',
  'https://bücher.example/x.png',
  'https://xn--bcher-kva.example/x.png',
  'https://localhost.example.com/',
  'https://my-internal.example.org/',
  'https://example.com./a.png',
  'https://127.0.0.1.example.com/',
];

/** All of these reach, or may reach, this machine, a private network or a metadata service. A15 among them. */
const PRIVATE = [
  'http://127.0.0.1/',
  'http://127.0.0.1:11434/api/tags',
  'http://127.1/',
  'http://127.0.1/',
  'http://0/',
  'http://0.0.0.0/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0x7f.0.0.1/',
  'http://0177.0.0.1/',
  'http://017700000001/',
  'http://0x7F.1/',
  'http://127.0.0.1./',
  'http://①②⑦.⓪.⓪.①/',
  'http://127。0。0。1/',
  'http://１２７.0.0.1/',
  'http://10.1.2.3/',
  'http://100.64.0.1/',
  'http://100.100.100.200/latest/meta-data/',
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0251.0376.0251.0376/',
  'http://168.63.129.16/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.1.1/',
  'http://192.0.0.192/',
  'http://198.18.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://[::1]/',
  'http://[::]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[0:0:0:0:0:ffff:a9fe:a9fe]/',
  'http://[::127.0.0.1]/',
  'http://[::a9fe:a9fe]/',
  'http://[64:ff9b::169.254.169.254]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[2002:a9fe:a9fe::1]/',
  'http://[2001:0:7f00:1::]/',
  'http://[2001:db8::1]/',
  'http://[fe80::1]/',
  'http://[fc00::1]/',
  'http://[fd00:ec2::254]/latest/',
  'http://[ff02::1]/',
  'http://[fec0::1]/',
  'http://[5f00::1]/',
  'http://localhost/',
  'http://LOCALHOST:8080/',
  'http://localhost./',
  'http://foo.localhost/',
  'http://ⓛocalhost/',
  'http://loc\u00adalhost/',
  'http://localhost.localdomain/',
  'http://printer.local/',
  'http://metadata.google.internal/computeMetadata/v1/',
  'http://metadata.google.internal./',
  'http://METADATA.google.INTERNAL/',
  'http://metadata.goog/',
  'http://metadata/',
  'http://metadata.tencentyun.com/',
  'http://instance-data/',
  'http://instance-data.ec2.internal/',
  'http://host.docker.internal/',
  'http://ollama:11434/',
  'http://kubernetes.default.svc/',
  'http://db.prod.svc.cluster.local/',
  'http://vault.service.consul/',
  'http://nas.home.arpa/',
  'http://router.lan/',
  'http://127.0.0.1.nip.io/',
  'http://a.10.0.0.1.sslip.io/',
  'http://localtest.me/',
];

/** No http(s) URL, or one that two parsers may read as two different hosts. */
const INVALID = [
  '',
  'cat.png',
  '/cat.png',
  '//example.com/cat.png',
  'file:///etc/passwd',
  'ftp://example.com/x',
  'gopher://127.0.0.1:70/_',
  'data:image/png;base64,AAAA',
  'javascript:alert(1)',
  'unix:///var/run/docker.sock',
  'http:example.com',
  'http:/example.com',
  'http:///example.com',
  'http:\\\\example.com',
  'http://example.com\\@127.0.0.1/',
  'http://example.com\\.evil.example/',
  'http://user:pass@example.com/',
  'http://user@example.com/',
  'http://example.com@127.0.0.1/',
  'http://@example.com/',
  'http://127.0.0.1%2523@example.com/',
  'http://%6c%6f%63%61%6c%68%6f%73%74/',
  'http://%31%32%37.0.0.1/',
  ' http://example.com/',
  'http://example.com/ ',
  'http://exam\tple.com/',
  'http://exam\nple.com/',
  'ht\ntp://example.com/',
  'http://example.com/\u0000',
  'http://example.com\u00a0/',
  'http://[::1/',
  'http://[fe80::1%25eth0]/',
  'http://[::1]evil.example/',
  'http://1.2.3.4.5/',
  'http://256.1.1.1/',
  'http://08.8.8.8/',
  'http://010.8.8.8/',
  'http://0x8.8.8.8/',
  'http://134744072/',
  'http://8.8.2056/',
  'http://8.8.8.8./',
  'http://example.com:99999/',
  'http://example.com:80:80/',
  'http://a..b/',
  'http://./',
  `http://example.com/${'a'.repeat(9000)}`,
];

describe('classifyHost', () => {
  for (const [expected, urls] of [
    ['public', PUBLIC],
    ['private', PRIVATE],
    ['invalid', INVALID],
  ] as const) {
    for (const url of urls) it(`${JSON.stringify(url).slice(0, 70)} is ${expected}`, () => assert.equal(classifyHost(url), expected));
  }

  it('finds a private IPv4 address in every spelling that the URL standard allows', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const spell = (value: number, base: number) =>
      base === 16 ? `0x${value.toString(16)}` : base === 8 ? `0${value.toString(8)}` : String(value);
    const base = fc.constantFrom(8, 10, 16);
    const network = fc.constantFrom<readonly [number, number | null]>(
      [10, null],
      [127, null],
      [192, 168],
      [169, 254],
      [0, null],
      [172, 16],
    );
    fc.assert(
      fc.property(
        network,
        octet,
        octet,
        octet,
        fc.array(base, { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (net, b, c, d, bases, count) => {
          const octets = [net[0], net[1] ?? b, c, d];
          const parts = octets.slice(0, count - 1);
          parts.push(octets.slice(count - 1).reduce((sum, value) => sum * 256 + value, 0));
          const host = parts.map((part, index) => spell(part, bases[index] ?? 10)).join('.');
          assert.equal(classifyHost(`http://${host}/`), 'private', host);
        },
      ),
    );
  });

  it('A15: takes no spelling of the metadata address for a public host (CVE-2026-31943)', () => {
    const hosts = [
      '169.254.169.254',
      '[::ffff:a9fe:a9fe]',
      '[::ffff:169.254.169.254]',
      '[0:0:0:0:0:FFFF:A9FE:A9FE]',
      '[64:ff9b::a9fe:a9fe]',
      '[2002:a9fe:a9fe::]',
      '[::a9fe:a9fe]',
      '2852039166',
      '0xa9fea9fe',
      '0xa9.0xfe.0xa9.0xfe',
      '025177524776',
      '0251.0376.0251.0376',
      '169.254.43518',
      '169.16689662',
      '１６９.254.169.254',
      '169。254。169。254',
      '169.254.169.254.',
      'metadata.google.internal.',
    ];
    for (const host of hosts) assert.equal(classifyHost(`http://${host}/latest/meta-data/`), 'private', host);
  });

  it('never throws and never finds a public host in arbitrary text without a scheme', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        assert.equal(classifyHost(text), 'invalid');
        assert.ok(['public', 'private', 'invalid'].includes(classifyHost(`http://${text}`)));
      }),
    );
  });
});
