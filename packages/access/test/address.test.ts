import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AddressList, canonicalIp, clientAddress, parseCidr } from '../src/index.ts';

describe('canonicalIp', () => {
  const cases: readonly [string, string | null][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['010.0.0.1', null],
    ['10.0.0', null],
    ['0x7f.1', null],
    ['2130706433', null],
    ['[::1]', null],
    ['192.0.2.1:80', null],
    ['', null],
    ['localhost', null],
    ['1.2.3.4%eth0', null],
  ];
  for (const [text, expected] of cases) it(`${text || '(empty)'} is ${expected}`, () => assert.equal(canonicalIp(text), expected));

  it('is its own canonical form, for any address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = canonicalIp(text);
        assert.ok(canonical !== null && (isIPv4(canonical) || isIPv6(canonical)));
        assert.equal(canonicalIp(canonical), canonical);
      }),
    );
  });

  it('gives an IPv4 address and its mapped spelling the same form', () => {
    fc.assert(fc.property(fc.ipV4(), (ip) => assert.equal(canonicalIp(`::ffff:${ip}`), ip)));
  });
});

describe('AddressList', () => {
  it('holds what its blocks hold, in any spelling', () => {
    const list = new AddressList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::ffff:198.51.100.0/120']);
    for (const ip of ['10.255.0.1', '::ffff:10.1.2.3', '::ffff:0a01:0203', '192.0.2.7', '2001:0db8::5', '198.51.100.9']) {
      assert.ok(list.has(ip), ip);
    }
    for (const ip of ['11.0.0.1', '192.0.2.8', '2001:db9::1', '198.51.101.1', '', 'x', '10.0.0', '10.0.0.1/8']) {
      assert.ok(!list.has(ip), ip);
    }
  });

  it('takes a mistaken entry for nothing, and an empty list for nobody', () => {
    for (const text of [
      '',
      '*',
      'any',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '10.0.0.0/8/8',
      '10.0.0/8',
      '::/129',
      'fe80::%1/64',
      '::ffff:0:0/90',
    ]) {
      assert.equal(parseCidr(text), null, text);
      assert.ok(!new AddressList([text]).has('10.0.0.1'), text);
    }
    assert.ok(!new AddressList([]).has('127.0.0.1'));
  });

  it('does not let an IPv6 block cover IPv4 addresses', () => {
    assert.ok(!new AddressList(['::/0']).has('10.0.0.1'));
    assert.ok(!new AddressList(['::/0']).has('::ffff:10.0.0.1'));
    assert.ok(new AddressList(['::/0']).has('2001:db8::1'));
    assert.ok(!new AddressList(['0.0.0.0/0']).has('2001:db8::1'));
  });

  it('agrees with a bit-by-bit reading of a block, for any address and prefix', () => {
    const bits = (ip: string) =>
      ip
        .split('.')
        .map((part) => Number(part).toString(2).padStart(8, '0'))
        .join('');
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (network, ip, prefix) => {
        const expected = bits(network).slice(0, prefix) === bits(ip).slice(0, prefix);
        assert.equal(new AddressList([`${network}/${prefix}`]).has(ip), expected);
      }),
    );
  });
});

describe('clientAddress', () => {
  const proxies = new AddressList(['10.0.0.0/8', 'fd00::/8']);
  const cases: readonly [string, string, string | null, string][] = [
    ['no header', '10.0.0.1', null, '10.0.0.1'],
    ['a direct client', '203.0.113.9', null, '203.0.113.9'],
    ['A19: a direct client that claims another address', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['A19: a direct client that claims a proxy', '203.0.113.9', '10.0.0.1', '203.0.113.9'],
    ['one proxy', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['A19: a client that wrote the header before the proxy did', '10.0.0.1', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['A19: a client that claims to be behind a proxy', '10.0.0.1', '127.0.0.1, 10.9.9.9, 203.0.113.9', '203.0.113.9'],
    ['two proxies', '10.0.0.1', '203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['proxies only', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['a mapped peer', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['a mapped hop', '10.0.0.1', '::ffff:203.0.113.9', '203.0.113.9'],
    ['ports', '10.0.0.1', '203.0.113.9:4711, [fd00::2]:443', '203.0.113.9'],
    ['IPv6', 'fd00::1', '2001:DB8::5', '2001:db8::5'],
    ['nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['nonsense between', '10.0.0.1', '203.0.113.9, _hidden, 10.0.0.2', '10.0.0.1'],
    ['nonsense further left than the answer', '10.0.0.1', '<script>, 203.0.113.9', '203.0.113.9'],
    ['an empty header', '10.0.0.1', '', '10.0.0.1'],
    ['an empty hop', '10.0.0.1', '203.0.113.9,', '10.0.0.1'],
    ['a leading comma', '10.0.0.1', ',10.0.0.2', '10.0.0.1'],
    ['an oversized header', '10.0.0.1', `${'203.0.113.9,'.repeat(400)}203.0.113.9`, '10.0.0.1'],
  ];
  for (const [what, peer, header, expected] of cases) {
    it(`${what}: ${expected}`, () => assert.equal(clientAddress(peer, header, proxies), expected));
  }

  it('believes nobody without configured proxies', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.string({ unit: 'binary', maxLength: 100 }), (peer, header) => {
        assert.equal(clientAddress(peer, header, new AddressList([])), peer);
      }),
    );
  });

  it('answers whatever the nearest proxy appended, whatever stands before it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (claim) => {
        assert.equal(clientAddress('10.0.0.1', `${claim},203.0.113.9`, proxies), '203.0.113.9');
      }),
    );
  });
});
