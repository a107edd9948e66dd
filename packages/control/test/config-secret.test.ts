import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { checkReferences, parseConfig, references, resolveSecret, resolveStorage, SecretError } from '@sallyport/control';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';
import { temporaryDirectory } from '@sallyport/testkit/tempdir';

function refusal(reference: string, source = {}): string {
  try {
    resolveSecret(reference, source);
  } catch (error) {
    assert.ok(error instanceof SecretError, String(error));
    return error.message;
  }
  assert.fail('resolved');
}

describe('a secret from the environment', () => {
  const env = { KEY: 'value with spaces ', EMPTY: '', BIG: 'x'.repeat(65_537) };
  test('is taken as it is', () => assert.deepEqual(resolveSecret('env:KEY', { env }), { value: 'value with spaces ', warnings: [] }));
  test('is refused where it is absent, empty or too large', () => {
    assert.match(refusal('env:GONE', { env }), /not set/);
    assert.match(refusal('env:EMPTY', { env }), /empty/);
    assert.match(refusal('env:BIG', { env }), /64 KiB/);
    assert.match(refusal('env:toString', { env }), /not set/);
  });
});

describe('a secret from a file', () => {
  test('loses one line break, is read anew every time, follows links', async () => {
    await using directory = await temporaryDirectory();
    const path = directory.file('key');
    await writeFile(path, 'first\n', { mode: 0o600 });
    assert.deepEqual(resolveSecret(`file:${path}`), { value: 'first', warnings: [] });
    await writeFile(path, 'second\r\n');
    assert.equal(resolveSecret(`file:${path}`).value, 'second');
    await writeFile(path, 'third\n\n');
    assert.equal(resolveSecret(`file:${path}`).value, 'third\n');
    await symlink(path, directory.file('link'));
    assert.equal(resolveSecret('file:link', { directory: directory.path }).value, 'third\n');
  });

  test('is warned of where others can read it, unless it is a certificate', async () => {
    await using directory = await temporaryDirectory();
    const path = directory.file('key');
    await writeFile(path, 'secret');
    for (const [mode, warned] of [
      [0o600, 0],
      [0o400, 0],
      [0o640, 1],
      [0o604, 1],
      [0o620, 1],
    ] as const) {
      await chmod(path, mode);
      assert.equal(resolveSecret(`file:${path}`).warnings.length, warned, mode.toString(8));
    }
    await writeFile(path, '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n');
    await chmod(path, 0o644);
    assert.deepEqual(resolveSecret(`file:${path}`).warnings, []);
  });

  test('is refused where it is absent, empty, too large, no text or no file', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeFile(directory.file('empty'), '\n');
    await writeFile(directory.file('big'), Buffer.alloc(65_537, 0x61));
    await writeFile(directory.file('binary'), Buffer.from([0xff, 0xfe, 0x00]));
    await mkdir(directory.file('folder'));
    execFileSync('mkfifo', [directory.file('pipe')]);
    assert.match(refusal(`file:${path}/gone`), /ENOENT/);
    assert.match(refusal(`file:${path}/empty`), /empty/);
    assert.match(refusal(`file:${path}/big`), /64 KiB/);
    assert.match(refusal(`file:${path}/binary`), /UTF-8/);
    assert.match(refusal(`file:${path}/folder`), /regular file|EISDIR/);
    assert.match(refusal(`file:${path}/pipe`), /regular file/);
    assert.match(refusal('file:/dev/zero'), /regular file/);
  });

  test('of exactly 64 KiB is taken', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.file('key'), 'x'.repeat(65_536));
    assert.equal(resolveSecret(`file:${directory.file('key')}`).value.length, 65_536);
  });
});

test('something that is no reference is refused without being repeated', () => {
  assert.doesNotMatch(refusal('sk-live-1234567890'), /1234567890/);
});

describe('the references of a configuration', () => {
  const { config } = parseConfig(
    `tls: { cert: "file:/c", key: "env:TLS_KEY" }
upstreams: [{ name: a, kind: demo }, { name: u, kind: vllm, url: "https://h", credential: "env:CRED", tls: { ca: "file:/ca" } }]
models: [{ name: m, upstream: u }]
storage: { url: "postgres://u@h/d", password: "env:DB" }`,
  );

  test('are all found', () => {
    assert.deepEqual(
      references(config).map(({ path, reference }) => [path.join('.'), reference]),
      [
        ['tls.cert', 'file:/c'],
        ['tls.key', 'env:TLS_KEY'],
        ['upstreams.1.credential', 'env:CRED'],
        ['upstreams.1.tls.ca', 'file:/ca'],
        ['storage.password', 'env:DB'],
      ],
    );
  });

  test('are checked together', () => {
    const { problems, warnings } = checkReferences(config, { env: { CRED: 'x' } });
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['tls.cert', 'tls.key', 'upstreams[1].tls.ca', 'storage.password'],
    );
    assert.deepEqual(warnings, []);
  });

  test('give the store its URL and password', () => {
    assert.deepEqual(resolveStorage(config.storage, { env: { DB: 'p@ss' } }), { url: 'postgres://u@h/d', password: 'p@ss' });
    const whole = parseConfig('storage: { url: "env:DATABASE_URL" }').config.storage;
    assert.deepEqual(resolveStorage(whole, { env: { DATABASE_URL: 'postgres://u:p@h/d' } }), { url: 'postgres://u:p@h/d', password: null });
    assert.throws(
      () => resolveStorage(whole, { env: { DATABASE_URL: 'mysql://u:hunter2@h/d' } }),
      (error) => error instanceof SecretError && !error.message.includes('hunter2'),
    );
  });
});

describe('the certificates of a configuration', () => {
  const now = Date.UTC(2026, 5, 1);
  const { config } = parseConfig(`tls: { cert: "env:CERT", key: "env:KEY", clientCa: "env:CA" }
upstreams: [{ name: u, kind: vllm, url: "https://h", tls: { ca: "env:UP_CA", cert: "env:UP_CERT", key: "env:UP_KEY" } }]
models: [{ name: m, upstream: u }]`);

  const authority = Authority.create();
  const issue = async (notBefore: number, notAfter: number): Promise<IssuedCertificate> =>
    (await authority).issueServer({ notBefore, notAfter });

  const DAY = 86_400_000;
  test('are fine where they are whole, in time and belong to their keys', async () => {
    const one = await issue(now - DAY, now + 90 * DAY);
    const two = await issue(now - DAY, now + 90 * DAY);
    const env = { CERT: one.cert, KEY: one.key, CA: `${one.cert}\n${two.cert}`, UP_CA: two.cert, UP_CERT: two.cert, UP_KEY: two.key };
    assert.deepEqual(checkReferences(config, { env }, now), { problems: [], warnings: [] });
    assert.deepEqual(
      checkReferences(config, { env: { ...env, KEY: two.key, UP_KEY: one.key } }, now).problems.map(({ path, got }) => [path, got]),
      [
        ['tls.key', 'the key of another one'],
        ['upstreams[0].tls.key', 'the key of another one'],
      ],
    );
  });

  test('are refused where they have ended, not begun or are something else; one that ends soon is warned of', async () => {
    const old = await issue(now - 90 * DAY, now - DAY);
    const early = await issue(now + DAY, now + 90 * DAY);
    const short = await issue(now - DAY, now + 3 * DAY);
    const check = (env: Record<string, string>): [paths: string[], warnings: string[]] => {
      const complete = {
        CERT: short.cert,
        KEY: short.key,
        CA: short.cert,
        UP_CA: short.cert,
        UP_CERT: short.cert,
        UP_KEY: short.key,
        ...env,
      };
      const { problems, warnings } = checkReferences(config, { env: complete }, now);
      return [problems.map(({ path }) => path), warnings.map(({ path }) => path)];
    };
    assert.deepEqual(check({}), [[], ['tls.cert', 'upstreams[0].tls.cert']]);
    assert.deepEqual(check({ CERT: old.cert, KEY: old.key })[0], ['tls.cert']);
    assert.deepEqual(check({ UP_CERT: early.cert, UP_KEY: early.key })[0], ['upstreams[0].tls.cert']);
    assert.deepEqual(check({ CERT: 'x', KEY: 'x', CA: 'x', UP_CA: short.cert.replace(/M/g, '?') })[0], [
      'tls.cert',
      'tls.key',
      'tls.clientCa',
      'upstreams[0].tls.ca',
    ]);
  });
});
