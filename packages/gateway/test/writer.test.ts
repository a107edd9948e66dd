import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { joinWrites } from '../src/http/one-write.ts';
import { Http1Writer } from '../src/http/writer.ts';

const TYPE = ['content-type', 'text/event-stream'];

/** What a server with this listener sends to a client that says `asked` and then nothing more. */
async function received(listener: RequestListener, asked: string): Promise<string> {
  const server = createServer(listener);
  server.on('connection', joinWrites);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const socket = connect(address.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.write(asked);
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('latin1');
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Takes one chunked body off a text. Throws where the framing is not RFC 9112's. */
function unframe(text: string): { readonly body: string; readonly rest: string } {
  let body = '';
  let at = 0;
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 10));
    assert.ok(size?.[1] !== undefined, `no chunk size at ${at}`);
    const length = Number.parseInt(size[1], 16);
    at += size[0].length;
    body += text.slice(at, at + length);
    assert.equal(text.slice(at + length, at + length + 2), '\r\n');
    at += length + 2;
    if (length === 0) return { body, rest: text.slice(at) };
  }
}

const GET = 'GET /a HTTP/1.1\r\nhost: x\r\n\r\n';
const LAST = 'GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

describe('an HTTP/1.1 answer in chunks', () => {
  it('is framed alike however it is cut and whenever its pieces come', async () => {
    const pieces = fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.boolean()), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, async (cut) => {
        const text = await received(async (_request, response) => {
          const writer = new Http1Writer(response);
          writer.head(200, TYPE);
          for (const [piece, wait] of cut) {
            writer.write(Buffer.from(piece));
            if (wait) await new Promise((resolve) => setImmediate(resolve));
          }
          writer.end(null, 1_000);
        }, LAST);
        const { body, rest } = unframe(text.slice(text.indexOf('\r\n\r\n') + 4));
        assert.equal(rest, '');
        assert.equal(body, Buffer.concat(cut.map(([piece]) => piece)).toString('latin1'));
      }),
      { numRuns: 60 },
    );
  });

  it('waits behind the answer before it on the connection', async () => {
    const open: { readonly request: IncomingMessage; readonly writer: Http1Writer }[] = [];
    const text = await received((request, response) => {
      const writer = new Http1Writer(response);
      writer.head(200, TYPE);
      open.push({ request, writer });
      if (open.length < 2) return;
      // The second is told first, and all of its chunks but the last before the first has ended.
      const [first, second] = open;
      second?.writer.write(Buffer.from('second 1,'));
      first?.writer.write(Buffer.from('first 1,'));
      second?.writer.write(Buffer.from('second 2,'));
      first?.writer.write(Buffer.from('first 2'));
      first?.writer.end(null, 1_000);
      setImmediate(() => {
        second?.writer.write(Buffer.from('second 3'));
        second?.writer.end(null, 1_000);
      });
    }, GET + LAST);
    const one = unframe(text.slice(text.indexOf('\r\n\r\n') + 4));
    assert.equal(one.body, 'first 1,first 2');
    const two = unframe(one.rest.slice(one.rest.indexOf('\r\n\r\n') + 4));
    assert.equal(two.body, 'second 1,second 2,second 3');
    assert.equal(two.rest, '');
  });

  it('has no chunks for a client of HTTP/1.0', async () => {
    const text = await received((_request, response) => {
      const writer = new Http1Writer(response);
      writer.head(200, TYPE);
      writer.write(Buffer.from('one '));
      writer.write(Buffer.from('two'));
      writer.end(null, 1_000);
    }, 'GET / HTTP/1.0\r\n\r\n');
    assert.doesNotMatch(text, /transfer-encoding/i);
    assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), 'one two');
  });

  it('says when a client is behind, and when it has caught up', async () => {
    const seen: string[] = [];
    const total = 32 * 64 * 1024;
    const text = await received(async (_request, response) => {
      const writer = new Http1Writer(response);
      writer.head(200, TYPE);
      for (let sent = 0; sent < total; sent += 64 * 1024) {
        if (writer.write(Buffer.alloc(64 * 1024, 'x'))) continue;
        seen.push('behind');
        await new Promise<void>((resolve) => {
          const ignore = writer.onDrain(() => {
            ignore();
            resolve();
          });
        });
        seen.push('drained');
      }
      writer.end(null, 1_000);
    }, LAST);
    assert.equal(unframe(text.slice(text.indexOf('\r\n\r\n') + 4)).body.length, total);
    assert.ok(seen.length > 0 && seen.at(-1) === 'drained');
  });

  it('goes nowhere once the client has left', async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    await received((request, response) => {
      const writer = new Http1Writer(response);
      writer.head(200, TYPE);
      writer.write(Buffer.from('one'));
      writer.write(Buffer.from('two'));
      request.socket.destroy();
      resolve(writer.write(Buffer.from('three')));
    }, LAST);
    assert.equal(await promise, false);
  });
});
