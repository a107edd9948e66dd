import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { compileGuard } from '../src/index.ts';
import { cutAtRandom, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

const guard = compileGuard({ ...SETTINGS, input: ['normalise', 'secrets'], output: ['secrets'] });
const random = seeded(11);
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LOWER = UPPER.toLowerCase();
const DIGITS = '0123456789';
const of = (alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet.charAt(Math.floor(random() * alphabet.length))).join('');
const alnum = (length: number): string => of(UPPER + LOWER + DIGITS, length);
const hex = (length: number): string => of('0123456789abcdef', length);
const base64 = (text: string): string => Buffer.from(text).toString('base64url');

/** Values are made here, so that no credential stands in the repository, not even a fake one. */
const TOKENS: readonly (readonly [category: string, token: string])[] = [
  ['sallyport-key', `sp_live_${alnum(10)}_${alnum(43)}`],
  ['aws-access-key', `AKIA${of('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}`],
  ['github-token', `ghp_${alnum(36)}`],
  ['github-fine-grained-token', `github_pat_${alnum(22)}_${alnum(59)}`],
  ['gitlab-token', `glpat-${alnum(20)}`],
  ['anthropic-key', `sk-ant-api03-${alnum(93)}AA`],
  ['openai-key', `sk-proj-${alnum(74)}T3BlbkFJ${alnum(74)}`],
  ['openai-style-key', `sk-${alnum(20)}7${alnum(27)}`],
  ['gcp-api-key', `AIzaSy${alnum(33)}`],
  ['google-oauth-secret', `GOCSPX-${alnum(28)}`],
  ['huggingface-token', `hf_${of(UPPER + LOWER, 34)}`],
  ['slack-token', `xoxb-${of(DIGITS, 12)}-${of(DIGITS, 12)}-${alnum(24)}`],
  ['slack-webhook', `hooks.slack.com/services/T${alnum(8)}/B${alnum(8)}/${alnum(24)}`],
  ['stripe-key', `sk_live_${alnum(24)}`],
  ['npm-token', `npm_${alnum(36)}`],
  ['pypi-token', `pypi-AgEIcHlwaS5vcmc${alnum(60)}`],
  ['sendgrid-key', `SG.${alnum(22)}.${alnum(43)}`],
  ['telegram-bot-token', `${of('123456789', 9)}:AA${alnum(33)}`],
  ['terraform-token', `${alnum(14)}.atlasv1.${alnum(64)}`],
  ['vault-token', `hvs.${alnum(95)}`],
  ['azure-client-secret', `${alnum(3)}8Q~${alnum(34)}`],
  ['json-web-token', `${base64(`{"alg":"HS256","typ":"JWT","kid":"${alnum(6)}"}`)}.${base64(`{"sub":"${alnum(12)}"}`)}.${alnum(43)}`],
  ['grafana-token', `glsa_${alnum(32)}_${hex(8)}`],
  ['shopify-token', `shpat_${hex(32)}`],
  ['digitalocean-token', `dop_v1_${hex(64)}`],
  ['xai-key', `xai-${alnum(80)}`],
];

describe('tokens known by their form', () => {
  for (const [category, token] of TOKENS) {
    test(`${category}: found in prose, in code and behind full-width letters, taken out whole`, () => {
      for (const [before, after] of [
        ['please use ', ' for this.'],
        ['KEY="', '"\n'],
        ['(', ')'],
      ] as const) {
        const text = before + token + after;
        const verdict = guard.inspect(text, INPUT);
        assert.equal(verdict.effect, 'redact', text);
        assert.ok(verdict.effect === 'redact' && verdict.findings.some((finding) => finding.category === category));
        const { released } = readPieces(guard, OUTPUT, cutAtRandom(text, 7, random));
        assert.equal(released, `${before}[SECRET]${after}`);
      }
      const wide = token.replace(/[A-Za-z]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0));
      assert.equal(guard.inspect(`x ${wide} y`, INPUT).effect, 'redact');
    });

    test(`${category}: what documentation writes instead is not taken for one`, () => {
      const standIn = token.replace(/[A-Za-z0-9]{16,}/, (run) => 'x'.repeat(run.length));
      if (standIn !== token && !['json-web-token', 'sallyport-key', 'pypi-token'].includes(category)) {
        const verdict = guard.inspect(`use ${standIn} here`, INPUT);
        assert.equal(verdict.effect, 'pass');
      }
    });
  }
});

describe('check digits and published values', () => {
  const base62 = (value: number): string => {
    let text = '';
    for (let rest = value, n = 0; n < 6; n++, rest = Math.trunc(rest / 62)) text = (DIGITS + UPPER + LOWER).charAt(rest % 62) + text;
    return text;
  };

  test('a token whose check digits fit was issued, however little entropy it has', () => {
    // 30 units of which most are alike: what documentation would write, but for the check digits.
    const body = `${'x'.repeat(24)}a1B2c3`;
    const issued = `ghp_${body}${base62(crc32(body))}`;
    assert.equal(guard.inspect(`use ${issued}`, INPUT).effect, 'redact');
    const typo = issued.slice(0, -1) + (issued.endsWith('A') ? 'B' : 'A');
    assert.equal(guard.inspect(`use ${typo}`, INPUT).effect, 'pass');
    const own = `sp_live_${'a'.repeat(12)}_${'b'.repeat(43)}`;
    assert.equal(guard.inspect(`${own}${base62(crc32(own))}`, INPUT).effect, 'redact');
  });

  test('a key that its vendor prints in the documentation is none', () => {
    const printed = Buffer.from('c2tfdGVzdF80ZUMzOUhxTHlqV0Rhcmp0VDF6ZHA3ZGM=', 'base64').toString();
    assert.deepEqual(guard.inspect(`key ${printed}`, INPUT), { effect: 'pass' });
    assert.equal(guard.inspect(`key ${printed.slice(0, -2)}Qz`, INPUT).effect, 'redact');
  });

  const kinds = {
    hex: () => hex(32),
    letters: () => alnum(32),
    lower: () => of(LOWER + DIGITS, 24),
    base64: () => `${of(`${UPPER}${LOWER}${DIGITS}+/`, 43)}=`,
    uuid: () => [8, 4, 4, 4, 12].map(hex).join('-'),
  };
  const written: readonly ((value: string) => string)[] = [
    (v) => `contoso_token="${v}"`,
    (v) => `contosoSecret = ${v}`,
    (v) => `contoso-api-key: ${v}`,
    (v) => `{"contoso_access_token": "${v}"}`,
    (v) => `export CONTOSO_API_KEY=${v}`,
    (v) => `var contosoToken string = "${v}"`,
    (v) => `contosoToken := "${v}"`,
    (v) => `let contoso_token: &str = "${v}";`,
    (v) => `const contosoToken: string = "${v}"`,
    (v) => `string contosoApiKey = @"${v}";`,
    (v) => `'contoso_token' => '${v}',`,
    (v) => `CONTOSO_TOKEN ?= "${v}"`,
    (v) => `contoso_token <- "${v}"`,
    (v) => `<contosoToken>${v}</contosoToken>`,
    (v) => `the contoso API key is ${v}`,
  ];
  test('random values are found in the ways of many languages to write an assignment', () => {
    for (const [kind, make] of Object.entries(kinds)) {
      let found = 0;
      for (const write of written) {
        for (let round = 0; round < 4; round++) if (guard.inspect(write(make()), INPUT).effect === 'redact') found++;
      }
      assert.ok(found >= written.length * 4 * 0.97, `${kind}: ${found}`);
    }
  });
});

describe('secrets known by what stands around them', () => {
  const value = `${alnum(12)}7${alnum(11)}`;
  const found: readonly (readonly [category: string, text: string, secret: string])[] = [
    ['generic-secret', `client_secret = "${value}"`, value],
    ['generic-secret', `"apiKey": "${value}",`, value],
    ['generic-secret', `export MY_ACCESS_TOKEN=${value}`, value],
    ['password', `my password is Tr0ub4dor&3!x`, 'Tr0ub4dor&3!x'],
    ['url-password', `postgres://app:${value}@db.internal:5432/prod`, value],
    ['command-line-password', `curl -u admin:${value} https://host`, `admin:${value}`],
    ['authorization-header', `Authorization: Bearer ${value}`, value],
    ['service-key', 'HEROKU_KEY = "3f2b8a51-9c4d-4e7f-8a61-2b9c0d1e3f4a"', '3f2b8a51-9c4d-4e7f-8a61-2b9c0d1e3f4a'],
    ['private-key', `-----BEGIN RSA PRIVATE KEY-----\n${alnum(64)}\n${alnum(64)}\n-----END RSA PRIVATE KEY-----`, '-----BEGIN RSA'],
    ['private-key', `-----BEGIN PRIVATE KEY-----\n${alnum(64)}\n${alnum(64)}\n${alnum(40)}`, '-----BEGIN PRIVATE'],
    ['kubernetes-secret', 'apiVersion: v1\nkind: Secret\ndata:\n  password: c3VwZXJzM2NyZXQ=\n', 'c3VwZXJzM2NyZXQ='],
  ];
  for (const [category, text, secret] of found) {
    test(`${category}: ${text.slice(0, 24).replaceAll('\n', ' ')}`, () => {
      const verdict = guard.inspect(text, INPUT);
      const finding = verdict.effect === 'redact' ? verdict.findings.find((candidate) => candidate.category === category) : undefined;
      assert.ok(finding !== undefined);
      assert.equal(text.slice(finding.start, finding.end).startsWith(secret), true);
      const whole = readPieces(guard, OUTPUT, [text]);
      for (let cut = 0; cut < 20; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, 1 + cut, random)), whole);
    });
  }

  const ordinary = [
    'How do I reset my password? The password is too short.',
    'api_key = os.environ["OPENAI_API_KEY"]',
    'token: <your-token-here>',
    'password: $(cat db-password)',
    'public_key = "9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"',
    'max_tokens: 1234567890, secret_name: prod-db-credentials',
    'postgres://user:password@localhost/db',
    'Authorization: Bearer YOUR_TOKEN',
    'The quick brown fox costs 4711 and the commit is 43fc912ef59a83054ea7f6706df4d53a7dea4d80.',
    'uuid 3f2b8a51-9c4d-4e7f-8a61-2b9c0d1e3f4a and sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----',
  ];
  for (const text of ordinary) {
    test(`passes: ${text.slice(0, 40).replaceAll('\n', ' ')}`, () => assert.deepEqual(guard.inspect(text, INPUT), { effect: 'pass' }));
  }
});
