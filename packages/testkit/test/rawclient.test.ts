import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { Authority } from '../src/certificates.ts';
import { H2Connection } from '../src/h2client.ts';
import { type HarmlessRequest, hostileRequests, pipelined } from '../src/hostile.ts';
import { RawConnection, rawExchange, requestBytes } from '../src/rawclient.ts';
import { MalformedResponse, readResponse } from '../src/rawresponse.ts';

const HARMLESS: HarmlessRequest = {
  path: '/v1/chat/completions',
  host: 'localhost',
  headers: [['authorization', 'Bearer sp_live_x']],
  body: '{"model":"m","messages":[]}',
  smuggledPath: '/admin/smuggled',
};

describe('raw client', () => {
  let server: Server;
  let port = 0;
  const seen: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      request.resume().on('end', () => response.end('ok'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('sends exactly the bytes it is given and reads pipelined answers in order', async () => {
    await using connection = await RawConnection.open({ port });
    await connection.send(pipelined(HARMLESS, 3));
    for (let index = 0; index < 3; index++) assert.equal((await connection.next()).body.toString(), 'ok');
    assert.equal(connection.unread.length, 0);
  });

  it('trickles a body', async () => {
    await using connection = await RawConnection.open({ port });
    const bytes = requestBytes({ target: '/slow', body: 'x'.repeat(30) });
    assert.equal(await connection.trickle(bytes, 10, 1), bytes.length);
    assert.equal((await connection.next()).status, 200);
  });

  it('builds hostile requests that a plain Node server refuses or reads once, and none is a harmless one by mistake', async () => {
    const rows = hostileRequests(HARMLESS);
    assert.equal(new Set(rows.map((row) => row.name)).size, rows.length);
    assert.ok(rows.length > 50);
    const harmless = await rawExchange({ port }, requestBytes({ target: HARMLESS.path, headers: HARMLESS.headers, body: HARMLESS.body }));
    assert.equal(harmless.status, 200);
    seen.length = 0;
    for (const { bytes } of rows) {
      await using connection = await RawConnection.open({ port });
      await connection.send(bytes);
      connection.finish();
      await connection.waitForClose();
    }
    assert.ok(!seen.some((line) => line.includes(HARMLESS.smuggledPath)), 'Node itself was smuggled through');
  });

  it('speaks HTTP/2 over TLS', async () => {
    const authority = await Authority.create();
    const certificate = await authority.issueServer();
    const secure = createSecureServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
      request.resume().on('end', () => response.end(`${request.httpVersion} ${request.url}`));
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    try {
      const address = secure.address();
      const securePort = typeof address === 'object' && address !== null ? address.port : 0;
      await using connection = await H2Connection.open(`https://localhost:${securePort}`, { ca: authority.cert });
      const response = await connection.request({ ':method': 'POST', ':path': '/x' }, 'body');
      assert.deepEqual([response.status, response.body.toString(), response.resetCode], [200, '2.0 /x', 0]);
    } finally {
      secure.close();
    }
  });
});

describe('response reader', () => {
  const read = (text: string, method = 'POST', ended = true): ReturnType<typeof readResponse> =>
    readResponse(Buffer.from(text, 'latin1'), method, ended);

  it('reads every framing', () => {
    const length = read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\nx-a: c\r\n\r\nhirest');
    assert.deepEqual([length?.framing, length?.body.toString(), length?.raw.length, length?.header('x-a')], ['length', 'hi', 56, 'b, c']);
    const chunked = read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n');
    assert.deepEqual([chunked?.body.toString(), chunked?.chunks, chunked?.trailers], ['abcde', [3, 2], [['x-t', '1']]]);
    assert.equal(read('HTTP/1.1 200 OK\r\n\r\nto the end')?.framing, 'close');
    assert.equal(read('HTTP/1.1 204 No Content\r\n\r\n')?.framing, 'none');
    assert.equal(read('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 'HEAD')?.framing, 'none');
  });

  it('waits for the rest', () => {
    for (const text of [
      'HTTP/1.1 20',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab',
    ]) {
      assert.equal(read(text, 'POST', false), null);
      assert.throws(() => read(text, 'POST', true), MalformedResponse);
    }
  });
});
