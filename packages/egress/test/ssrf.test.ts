import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type EgressSettings, silentLogger } from '@sallyport/core';
import { Egress, type NamedServer, NO_EGRESS_SETTINGS, type Resolve } from '../src/index.ts';
import { NameServer } from './names.ts';

const nobody: Resolve = () => Promise.reject(new Error('a name was resolved that should not be'));

function egress(settings: Partial<EgressSettings>, servers: readonly NamedServer[], resolve: Resolve = nobody): Egress {
  const made = new Egress({
    settings: { ...NO_EGRESS_SETTINGS, ...settings },
    resolveSecret: () => 'user:secret',
    logger: silentLogger,
    resolve,
  });
  made.name('test', servers);
  return made;
}

/** Runs `work` and returns every host a socket of this process was opened to meanwhile (Node's `net.client.socket` channel). */
async function reached(work: () => Promise<unknown>): Promise<number> {
  let sockets = 0;
  const count = (): void => {
    sockets += 1;
  };
  diagnostics.subscribe('net.client.socket', count);
  try {
    await work();
  } finally {
    diagnostics.unsubscribe('net.client.socket', count);
  }
  return sockets;
}

const METADATA = [
  'http://169.254.169.254/latest/meta-data/',
  'http://169.254.169.254./',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0XA9.0XFE.0XA9.0XFE/',
  'http://0251.0376.0251.0376/',
  'http://00000251.0xfe.43518/',
  'http://169.254.43518/',
  'http://169.16689662/',
  'http://%31%36%39.254.169.254/',
  'http://\uff11\uff16\uff19.254.169.254/',
  'http://169\u3002254\u3002169\u3002254/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[0:0:0:0:0:ffff:a9fe:a9fe]/',
  'http://[::169.254.169.254]/',
  'http://[64:ff9b::169.254.169.254]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[64:ff9b:1::a9fe:a9fe]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://[2001:0:a9fe:a9fe::1]/',
  'http://[fe80::a9fe:a9fe]/',
  'http://[fd00:ec2::254]/',
  'http://[fd00:0ec2:0:0:0:0:0:254]/',
  'http://[fd20:ce::254]/',
  'http://169.254.170.2/',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://192.0.0.192/',
  'http://0/',
  'http://0.0.0.0/',
  'http://[::]/',
  'http://255.255.255.255/',
  'http://224.0.0.1/',
  'http://[ff02::1]/',
  'http://[64:ff9b::10.0.0.1]/',
];

describe('an address that no server of ours has', () => {
  for (const url of METADATA) {
    it(`${JSON.stringify(url)} is refused though the configuration names it`, async () => {
      await using out = egress({}, [{ url, private: true }]);
      const sockets = await reached(() => assert.rejects(out.request(url), { code: 'ERR_EGRESS_ADDRESS' }));
      assert.equal(sockets, 0);
    });
  }

  it('is refused for bare connections and datagrams too, however it is written', async () => {
    const hosts = ['169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '::ffff:a9fe:a9fe', '169.254.169.254.'];
    await using out = egress({ hosts: hosts.map((host) => (host.includes(':') ? `[${host}]:514` : `${host}:514`)) }, []);
    const sockets = await reached(async () => {
      for (const host of hosts) {
        await assert.rejects(out.connect(host, 514), { code: 'ERR_EGRESS_ADDRESS' }, host);
        await assert.rejects(out.addressesOf(host, 514), { code: 'ERR_EGRESS_ADDRESS' }, host);
      }
    });
    assert.equal(sockets, 0);
  });

  it('is refused where a name resolves to it, by A or AAAA', async () => {
    const addresses = [
      '169.254.169.254',
      '100.100.100.200',
      '0.0.0.0',
      'fd00:ec2::254',
      '64:ff9b::a9fe:a9fe',
      '::ffff:169.254.169.254',
      'fe80::1',
    ];
    const names = addresses.map((address, index) => ({ address, name: `h${index}.example.com` }));
    await using dns = await NameServer.start((name, type) =>
      names.filter((one) => one.name === name && (type === 'AAAA') === one.address.includes(':')).map(({ address }) => address),
    );
    await using out = egress(
      {},
      names.map(({ name }) => ({ url: `https://${name}`, private: true })),
      dns.resolve,
    );
    const sockets = await reached(async () => {
      for (const { name, address } of names) await assert.rejects(out.request(`https://${name}/`), { code: 'ERR_EGRESS_ADDRESS' }, address);
    });
    // Node tells of a socket before its name is looked up; none of them may have got an address.
    assert.ok(sockets <= names.length);
    assert.equal(dns.asked.filter((one) => one.endsWith(' A')).length, names.length);
  });
});

describe('names and hosts', () => {
  let legitimate: Server;
  let trap: Server;
  let port: number;
  const hits = { legitimate: 0, trap: 0 };
  let answer: RequestListener = (_request, response) => void response.end('ok');
  before(async () => {
    legitimate = createServer((request, response) => {
      hits.legitimate += 1;
      response.shouldKeepAlive = false;
      answer(request, response);
    });
    trap = createServer((_request, response) => void response.end('secret'));
    trap.on('connection', () => {
      hits.trap += 1;
    });
    await new Promise<void>((resolve) => legitimate.listen(0, '127.0.0.5', resolve));
    port = (legitimate.address() as AddressInfo).port;
    await new Promise<void>((resolve) => trap.listen(port, '127.0.0.9', resolve));
  });
  after(() => {
    legitimate.close();
    trap.close();
  });

  it('a name that resolves otherwise a moment later reaches nothing else (rebinding)', async () => {
    await using dns = await NameServer.start((_name, type, nth) => (type === 'A' ? [nth % 2 === 1 ? '127.0.0.5' : '127.0.0.9'] : []));
    await using out = egress({ networks: ['127.0.0.5/32'] }, [{ url: `http://rebind.example.com:${port}`, private: false }], dns.resolve);
    const outcomes: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      await out.request(`http://rebind.example.com:${port}/`).then(
        () => outcomes.push('answered'),
        (error: { code?: string }) => outcomes.push(error.code ?? 'none'),
      );
    }
    assert.deepEqual([...new Set(outcomes)].sort(), ['ERR_EGRESS_ADDRESS', 'answered']);
    assert.equal(hits.trap, 0);
    // One look-up a connection: what was checked is what was connected to.
    assert.equal(dns.asked.filter((one) => one.endsWith(' A')).length, 8);
  });

  it('of a mixed answer only what may be reached is tried', async () => {
    await using dns = await NameServer.start((_name, type) => (type === 'A' ? ['127.0.0.9', '127.0.0.5', '169.254.169.254'] : []));
    await using out = egress({ networks: ['127.0.0.5/32'] }, [{ url: `http://mixed.example.com:${port}`, private: false }], dns.resolve);
    assert.equal((await out.request(`http://mixed.example.com:${port}/`)).body.toString(), 'ok');
    assert.equal(hits.trap, 0);
  });

  it('a private address needs a network, a server that lives in one, or the address itself in the configuration', async () => {
    await using dns = await NameServer.start((_name, type) => (type === 'A' ? ['127.0.0.5'] : []));
    const url = `http://inside.example.com:${port}`;
    const ask = async (settings: Partial<EgressSettings>, servers: readonly NamedServer[], target = url): Promise<string> => {
      await using out = egress(settings, servers, dns.resolve);
      return await out.request(`${target}/`).then(
        ({ body }) => body.toString(),
        (error: { code?: string }) => error.code ?? 'none',
      );
    };
    assert.equal(await ask({}, [{ url, private: false }]), 'ERR_EGRESS_ADDRESS');
    assert.equal(await ask({ hosts: [`inside.example.com:${port}`] }, []), 'ERR_EGRESS_ADDRESS');
    assert.equal(await ask({}, [{ url, private: true }]), 'ok');
    assert.equal(await ask({ networks: ['127.0.0.0/8'] }, [{ url, private: false }]), 'ok');
    const literal = `http://127.0.0.5:${port}`;
    assert.equal(await ask({}, [{ url: literal, private: false }], literal), 'ok');
    assert.equal(await ask({}, [{ url: literal, private: false }], `http://127.0.0.9:${port}`), 'ERR_EGRESS_HOST');
    assert.equal(await ask({ networks: ['0.0.0.0/0'] }, [], literal), 'ERR_EGRESS_HOST');
  });

  it('only named hosts and ports; a domain stands for what is below it', async () => {
    await using dns = await NameServer.start((_name, type) => (type === 'A' ? ['127.0.0.5'] : []));
    await using out = egress({ hosts: [`*.example.com:${port}`], networks: ['127.0.0.5/32'] }, [], dns.resolve);
    const code = (host: string): Promise<string> =>
      out.request(`http://${host}/`).then(
        ({ body }) => body.toString(),
        (error: { code?: string }) => error.code ?? 'none',
      );
    assert.equal(await code(`a.example.com:${port}`), 'ok');
    assert.equal(await code(`A.B.EXAMPLE.com.:${port}`), 'ok');
    for (const host of ['example.com', 'aexample.com', 'a.example.com.evil.test', 'evil.test', 'localhost', '127.0.0.5', '127.0.0.9']) {
      assert.equal(await code(`${host}:${port}`), 'ERR_EGRESS_HOST', host);
    }
    assert.equal(await code(`a.example.com:${port + 1}`), 'ERR_EGRESS_HOST');
    assert.equal(hits.trap, 0);
  });

  it('follows no redirect, and takes no more than it was told to', async () => {
    const url = `http://127.0.0.5:${port}`;
    await using out = egress({}, [
      { url, private: false },
      { url: `http://127.0.0.9:${port}`, private: false },
    ]);
    for (const status of [301, 302, 303, 307, 308]) {
      answer = (_request, response) => void response.writeHead(status, { location: `http://127.0.0.9:${port}/` }).end();
      await assert.rejects(out.request(url), { code: 'ERR_EGRESS_REDIRECT' });
      await assert.rejects(out.fetch(url));
      assert.equal((await out.request(url, { redirect: 'return' })).headers['location'], `http://127.0.0.9:${port}/`);
    }
    answer = (_request, response) => void response.end(Buffer.alloc(100_000));
    await assert.rejects(out.request(url, { maxBytes: 99_999 }), { code: 'ERR_EGRESS_SIZE' });
    assert.equal((await out.request(url, { maxBytes: 100_000 })).body.length, 100_000);
    answer = (_request, response) => void response.write('a');
    await assert.rejects(out.request(url, { timeout: 100 }), { name: 'TimeoutError' });
    answer = (_request, response) => void response.end('ok');
    assert.equal(await (await out.fetch(url)).text(), 'ok');
    assert.equal(hits.trap, 0);
  });

  it('settings that change count for new connections', async () => {
    const url = `http://127.0.0.5:${port}`;
    await using out = egress({}, [{ url, private: false }]);
    assert.equal((await out.request(url)).status, 200);
    out.name('test', []);
    await assert.rejects(out.request(url), { code: 'ERR_EGRESS_HOST' });
    out.configure({ ...NO_EGRESS_SETTINGS, hosts: [`127.0.0.5:${port}`] });
    assert.equal((await out.request(url)).status, 200);
  });
});
