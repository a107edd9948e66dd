import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { MAIN } from './command.ts';

/** A call of os.system that no test loads. */
const EVIL = Buffer.from('80048c05706f7369788c0673797374656d938c046563686f85522e', 'hex');
const PLAIN = Buffer.from('{"hidden_size": 8}');
/** Headers, and tensors of 70 GB that are there only when somebody asks for them. */
const LARGE = 70e9;
const COMMIT = 'a'.repeat(40);

function safetensors(size: number): Buffer {
  const json = Buffer.from(JSON.stringify({ w: { dtype: 'U8', shape: [size], data_offsets: [0, size] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A file server as RFC 9110 describes one; what lies behind `head` is zeros. */
function ranges(head: Buffer, total: number = head.length, extra: Record<string, string> = {}): Handler {
  return (request, response) => {
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const end = Math.min(Number(to), total - 1);
    const body = Buffer.alloc(end - Number(from) + 1);
    head.subarray(Number(from)).copy(body);
    asked += body.length;
    response.writeHead(206, { 'content-range': `bytes ${from}-${end}/${total}`, 'content-length': body.length, ...extra }).end(body);
  };
}

let asked = 0;

describe('models scan of what is elsewhere', () => {
  let directory = '';
  let server: Server;
  let host = '';
  const files = new Map<string, Handler>();
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'models-remote-'));
    server = createServer((request, response) => {
      const handler = files.get(request.url ?? '');
      if (handler === undefined) response.writeHead(404).end();
      else handler(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  interface Report {
    readonly path: string;
    readonly sha256: string;
    readonly size: number;
    readonly format: string;
    readonly verdict: string;
    readonly findings: readonly { readonly rule: string; readonly message: string }[];
  }
  async function run(...args: readonly string[]): Promise<{ code: number | null; reports: Report[]; err: string }> {
    const env = { ...process.env, SALLYPORT_HOME: join(directory, 'home') };
    const child = spawn(process.execPath, [MAIN, 'models', 'scan', '--json', ...args], { cwd: directory, env, timeout: 60_000 });
    const [out, err, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('close', resolve)),
    ]);
    const reports = out.split('\n').filter((line) => line !== '');
    return { code, reports: reports.map((line) => JSON.parse(line) as Report), err };
  }
  async function scan(name: string, ...args: readonly string[]): Promise<Report> {
    const { reports, err } = await run(`http://${host}/${name}`, '--allow-host', host, ...args);
    assert.equal(reports.length, 1, err);
    return reports[0] as Report;
  }

  it('fetches nothing unless the host is named', async () => {
    files.set('/evil', ranges(EVIL));
    asked = 0;
    const { code, err } = await run(`http://${host}/evil`);
    assert.deepEqual([code, asked, /--allow-host/.test(err)], [2, 0, true]);
    const other = await run(`http://${host}/evil`, '--allow-host', 'huggingface.co');
    assert.deepEqual([other.code, asked, other.reports[0]?.verdict], [1, 0, 'inconclusive']);
    assert.equal((await run('http://user:password@127.0.0.1/x', '--allow-host', host)).code, 2);
    assert.equal((await run('hf://nonsense', '--allow-host', host)).code, 2);
  });
  it('a small file is fetched whole, digested and judged as one on disk', async () => {
    files.set('/evil', ranges(EVIL));
    files.set('/plain', ranges(PLAIN));
    files.set('/whole', (_, response) => void response.end(PLAIN));
    const sha256 = createHash('sha256').update(EVIL).digest('hex');
    const evil = await scan('evil');
    assert.deepEqual([evil.verdict, evil.sha256, evil.size, evil.format], ['malicious', sha256, EVIL.length, 'pickle']);
    for (const name of ['plain', 'whole']) assert.equal((await scan(name)).verdict, 'clean', name);
  });
  it('of a large one the headers, and then it is not clean', async () => {
    const head = safetensors(LARGE);
    files.set('/large', ranges(head, head.length + LARGE));
    asked = 0;
    const report = await scan('large');
    assert.deepEqual([report.verdict, report.format, report.sha256, report.size], ['inconclusive', 'safetensors', '', head.length + LARGE]);
    assert.deepEqual(report.findings.map(({ rule }) => rule), ['source-partial']); // biome-ignore format: one line
    assert.ok(asked < 16 * 2 ** 20, `${asked} bytes`);
    // One byte too many is malformed without any tensor read.
    files.set('/large', ranges(head, head.length + LARGE + 1));
    assert.equal((await scan('large')).verdict, 'malformed');
  });
  it('what has to be read from end to end stops at the limit, and what was found before it stands', async () => {
    files.set('/noise', ranges(Buffer.from([7, 7, 7]), 1e9));
    asked = 0;
    const report = await scan('noise', '--max-fetch', '2');
    assert.equal(report.verdict, 'inconclusive');
    assert.ok(asked <= 3 * 2 ** 20, `${asked} bytes`);
    files.set('/evil', ranges(Buffer.concat([EVIL, Buffer.alloc(8 * 2 ** 20, 0xff)]), 1e9));
    assert.equal((await scan('evil', '--max-fetch', '2')).verdict, 'malicious');
  });
  const hostile: readonly (readonly [string, Handler, RegExp])[] = [
    ['no ranges and endless bytes', (_, response) => void response.end(Buffer.alloc(3 * 2 ** 20)), /more than it was asked for/],
    ['another range', (_, response) => void response.writeHead(206, { 'content-range': 'bytes 5-6/7' }).end('ab'), /another range/],
    ['no range in its answer', (_, response) => void response.writeHead(206).end('ab'), /another range/],
    ['more bytes than its range', (_, response) => void response.writeHead(206, { 'content-range': 'bytes 0-1/9' }).end('abc'), /another range/],
    ['an encoding', ranges(PLAIN, PLAIN.length, { 'content-encoding': 'gzip' }), /encodes/],
    ['an error', (_, response) => void response.writeHead(500).end(), /answers 500/],
    ['a redirect to itself', (request, response) => void response.writeHead(302, { location: request.url }).end(), /more than 5 times/],
    ['a redirect to the metadata service', (_, response) => void response.writeHead(302, { location: 'http://169.254.169.254/' }).end(), /not named/],
    ['a redirect to a file', (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(), /no HTTP address/],
    ['a redirect nowhere', (_, response) => void response.writeHead(302).end(), /redirects/],
    ['a cut connection', (_, response) => void response.writeHead(206, { 'content-length': '100', 'content-range': 'bytes 0-99/100' }).write('a', () => response.destroy()), /cannot be read/],
  ]; // biome-ignore format: a table
  it('a server that answers with what it should not makes the file inconclusive, and says why', async () => {
    for (const [index, [, handler]] of hostile.entries()) files.set(`/hostile/${index}`, handler);
    const { code, reports } = await run(...hostile.map((_, index) => `http://${host}/hostile/${index}`), '--allow-host', host);
    assert.deepEqual([code, reports.length], [1, hostile.length]);
    for (const [index, [name, , message]] of hostile.entries()) {
      assert.deepEqual([reports[index]?.verdict, reports[index]?.findings[0]?.rule], ['inconclusive', 'source-unreadable'], name);
      assert.match(reports[index]?.findings[0]?.message ?? '', message, name);
    }
  });
  it('a server that answers each time in time and never ends is left after the deadline', async () => {
    let answered = 0;
    files.set('/slow', (request, response) => {
      answered += 1;
      const timer = setTimeout(() => ranges(Buffer.alloc(0), 2 ** 26)(request, response), 700);
      response.once('close', () => clearTimeout(timer));
    });
    const { code, reports } = await run(`http://${host}/slow`, '--allow-host', host, '--fetch-deadline', '2');
    assert.equal(code, 1);
    assert.equal(reports[0]?.verdict, 'inconclusive');
    assert.match(reports[0]?.findings[0]?.message ?? '', /not read within 2 s/);
    assert.ok(answered >= 2 && answered < 6, String(answered));
    assert.equal((await run(`http://${host}/slow`, '--allow-host', host, '--fetch-deadline', '0')).code, 2);
  });
  it('a file that changes between two ranges is inconclusive', async () => {
    const content = Buffer.concat([Buffer.from([0x80, 4]), Buffer.alloc(3 * 2 ** 20, 'N0')]);
    let answers = 0;
    files.set('/changes', (request, response) => {
      answers += 1;
      ranges(content, content.length, { etag: `"${answers}"` })(request, response);
    });
    const report = await scan('changes');
    assert.deepEqual([report.verdict, /changed/.test(report.findings[0]?.message ?? '')], ['inconclusive', true]);
  });
  it('a redirect to another host that is named is followed, and to one that is not it is not', async () => {
    const second = createServer((request, response) => ranges(EVIL)(request, response));
    await new Promise<void>((resolve) => second.listen(0, '127.0.0.1', resolve));
    const other = `127.0.0.1:${(second.address() as AddressInfo).port}`;
    try {
      files.set('/moved', (_, response) => void response.writeHead(302, { location: `http://${other}/x` }).end());
      assert.equal((await scan('moved')).verdict, 'inconclusive');
      assert.equal((await scan('moved', '--allow-host', other)).verdict, 'malicious');
    } finally {
      second.closeAllConnections();
      second.close();
    }
  });
  it('a server without ranges that does not say how long the file is: what came may be cut short', async () => {
    files.set('/endless', (_, response) => {
      response.writeHead(200, { connection: 'close' });
      response.flushHeaders();
      response.end(PLAIN);
    });
    files.set('/whole', (_, response) => void response.writeHead(200, { 'content-length': PLAIN.length }).end(PLAIN));
    const { reports } = await run(`http://${host}/endless`, `http://${host}/whole`, '--allow-host', host);
    assert.deepEqual(
      reports.map(({ verdict }) => verdict),
      ['inconclusive', 'clean'],
    );
  });
  it('a credential in the address of a Hub is refused and not repeated', async () => {
    const { code, err } = await run('hf://acme/tiny', '--hub', `http://me:word-of-mine@${host}`, '--allow-host', host);
    assert.equal(code, 2);
    assert.match(err, /--hub/);
    assert.doesNotMatch(err, /word-of-mine/);
  });
  it('a model of a Hub: the files of one commit', async () => {
    const listing = {
      sha: COMMIT,
      siblings: [{ rfilename: 'config.json' }, { rfilename: 'sub dir/evil.bin' }, { rfilename: '../../escape' }],
    };
    files.set('/api/models/acme/tiny/revision/v1', (_, response) => void response.end(JSON.stringify(listing)));
    files.set(`/acme/tiny/resolve/${COMMIT}/config.json`, ranges(PLAIN));
    files.set(`/acme/tiny/resolve/${COMMIT}/sub%20dir/evil.bin`, ranges(EVIL));
    const { code, reports } = await run('hf://acme/tiny@v1', '--hub', `http://${host}`, '--allow-host', host);
    assert.deepEqual([code, reports.map(({ verdict }) => verdict)], [1, ['clean', 'malicious', 'inconclusive']]);
    assert.equal(reports[0]?.path, `hf://acme/tiny@${COMMIT}/config.json`);
    files.set('/api/models/acme/tiny/revision/v1', (_, response) => void response.end('<html>'));
    const broken = await run('hf://acme/tiny@v1', '--hub', `http://${host}`, '--allow-host', host);
    assert.deepEqual([broken.code, broken.reports[0]?.verdict], [1, 'inconclusive']);
  });
});
