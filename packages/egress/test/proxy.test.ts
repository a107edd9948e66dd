import assert from 'node:assert/strict';
import { createServer as createHttp, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type EgressSettings, silentLogger } from '@sallyport/core';
import { Authority } from '@sallyport/testkit/certificates';
import { Egress, NO_EGRESS_SETTINGS } from '../src/index.ts';

const listen = (server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

describe('through an HTTP proxy', () => {
  let proxy: Server;
  let proxyPort: number;
  let targetPort: number;
  let authority: Authority;
  let close: () => void;
  const tunnels: { readonly authority: string; readonly credential: string | undefined }[] = [];
  let answer: (request: IncomingMessage, socket: Duplex) => void;

  const tunnel = (request: IncomingMessage, socket: Duplex): void => {
    // Whatever name is asked for leads to the test's own server, as a proxy's resolver would have it.
    const through = connect(targetPort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    for (const end of [through, socket]) end.on('error', () => undefined);
    void request;
  };

  before(async () => {
    authority = await Authority.create('test authority');
    const certificate = await authority.issueServer({ names: ['idp.example.com'] });
    const target = createHttps({ cert: certificate.cert, key: certificate.key }, (_request, response) => void response.end('through'));
    targetPort = await listen(target);
    proxy = createHttp((_request, response) => void response.writeHead(400).end());
    proxy.on('connect', (request, socket) => {
      tunnels.push({ authority: request.url ?? '', credential: request.headers['proxy-authorization'] });
      answer(request, socket);
    });
    proxyPort = await listen(proxy);
    close = () => {
      target.closeAllConnections();
      target.close();
      proxy.closeAllConnections();
      proxy.close();
    };
  });
  after(() => close());

  const open = (change: Partial<NonNullable<EgressSettings['proxy']>> = {}): Egress => {
    const proxySettings = { url: `http://127.0.0.1:${proxyPort}`, credential: 'env:PROXY', except: [], ...change };
    const out = new Egress({
      settings: { ...NO_EGRESS_SETTINGS, hosts: ['idp.example.com', '169.254.169.254'], proxy: proxySettings },
      resolveSecret: () => 'user:pass word',
      logger: silentLogger,
      resolve: () => Promise.reject(new Error('the proxy resolves')),
    });
    return out;
  };

  it('the name goes to the proxy with its credential, and TLS is with the server itself', async () => {
    answer = tunnel;
    await using out = open();
    const connector = out.connector({ ca: authority.cert });
    const socket = await new Promise<Duplex>((resolve, reject) =>
      connector({ hostname: 'idp.example.com', host: 'idp.example.com', protocol: 'https:', port: '443' }, (error, made) =>
        error === null ? resolve(made) : reject(error),
      ),
    );
    socket.write('GET / HTTP/1.1\r\nhost: idp.example.com\r\nconnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    assert.match(text, /through$/);
    assert.deepEqual(tunnels.at(-1), {
      authority: 'idp.example.com:443',
      credential: `Basic ${Buffer.from('user:pass word').toString('base64')}`,
    });
    // Without the authority the server is not who it says it is.
    await assert.rejects(out.request('https://idp.example.com/'), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  });

  it('nothing is asked of the proxy for what may not be reached', async () => {
    await using out = open();
    const before = tunnels.length;
    await assert.rejects(out.request('https://other.example.com/'), { code: 'ERR_EGRESS_HOST' });
    await assert.rejects(out.request('https://169.254.169.254/'), { code: 'ERR_EGRESS_ADDRESS' });
    await assert.rejects(out.request('https://2852039166/'), { code: 'ERR_EGRESS_ADDRESS' });
    assert.equal(tunnels.length, before);
  });

  it('a proxy that refuses, hangs, speaks something else or is away is a refusal, not a way round it', async () => {
    await using out = open();
    const fails = async (): Promise<void> => {
      await assert.rejects(out.connect('idp.example.com', 443, {}, 300), { code: 'ERR_EGRESS_PROXY' });
    };
    answer = (_request, socket) => void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    await fails();
    answer = (_request, socket) => void socket.end('HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n');
    await fails();
    answer = (_request, socket) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n');
    await fails();
    answer = () => undefined;
    await fails();
    await using away = open({ url: 'http://127.0.0.1:9' });
    await assert.rejects(away.connect('idp.example.com', 443, {}, 300), { code: 'ERR_EGRESS_PROXY' });
  });

  it('what is excepted, and this machine, is reached directly', async () => {
    const server = createHttp((_request, response) => void response.end('direct'));
    const port = await listen(server);
    await using out = open({ except: ['10.0.0.0/8', '*.internal'] });
    out.name('test', [{ url: `http://127.0.0.1:${port}`, private: false }]);
    const before = tunnels.length;
    assert.equal((await out.request(`http://127.0.0.1:${port}/`)).body.toString(), 'direct');
    assert.equal(tunnels.length, before);
    server.closeAllConnections();
    server.close();
  });
});
