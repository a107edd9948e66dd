import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';
import fc from 'fast-check';
import { joinWrites } from '../src/http/one-write.ts';

type Part = Buffer | readonly [text: string, encoding: BufferEncoding];
type Batch = readonly Part[];

const bytesOf = (part: Part): Buffer => (Buffer.isBuffer(part) ? part : Buffer.from(part[0], part[1]));
const ENCODINGS: readonly BufferEncoding[] = ['utf8', 'latin1', 'ascii', 'hex', 'base64', 'utf16le'];

interface Way {
  listen(take: (socket: Socket) => void): Server;
  open(port: number): Socket;
}

/** Writes each batch while corked. Returns what arrived; asserts that every write was acknowledged, in order. */
async function send(batches: readonly Batch[], way: Way): Promise<Buffer> {
  const { promise: received, resolve } = Promise.withResolvers<Buffer>();
  const server = way.listen((socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const socket = joinWrites(way.open(address.port));
  const acknowledged: number[] = [];
  let count = 0;
  for (const batch of batches) {
    socket.cork();
    for (const part of batch) {
      const at = count++;
      const done = (error?: Error | null): void => {
        assert.ifError(error ?? null);
        acknowledged.push(at);
      };
      if (Buffer.isBuffer(part)) socket.write(part, done);
      else socket.write(part[0], part[1], done);
    }
    socket.uncork();
    await new Promise((next) => setImmediate(next));
  }
  socket.end();
  socket.resume();
  const bytes = await received;
  await once(socket, 'close');
  server.close();
  assert.deepEqual(acknowledged, [...Array(count).keys()]);
  assert.equal(socket.bytesWritten >= bytes.length, true);
  return bytes;
}

const PLAIN: Way = {
  listen: (take) => createServer(take),
  open: (port) => connect({ port, host: '127.0.0.1' }),
};

describe('one write', () => {
  let authority: Authority;
  let certificate: IssuedCertificate;
  before(async () => {
    authority = await Authority.create('Upstream authority');
    certificate = await authority.issueServer();
  });
  const secure = (): Way => ({
    listen: (take) => createTlsServer({ cert: certificate.cert, key: certificate.key }, take),
    open: (port) => connectTls({ port, host: '127.0.0.1', ca: authority.cert, servername: 'localhost' }),
  });
  const arrives = async (batches: readonly Batch[]): Promise<void> => {
    const expected = Buffer.concat(batches.flat().map(bytesOf));
    for (const way of [PLAIN, secure()]) assert.ok((await send(batches, way)).equals(expected));
  };

  it('sends strings in their encodings and buffers, in their order, in the clear and over TLS', async () => {
    await arrives([
      [['POST / HTTP/1.1\r\n\r\n', 'latin1'], Buffer.from('{"a":"ü"}')],
      [['grüße €', 'utf8'], ['grüße', 'latin1'], Buffer.from([0, 255, 10])],
      [
        ['00ff0a', 'hex'],
        ['AP8K', 'base64'],
        ['ü€', 'utf16le'],
        ['plain', 'ascii'],
      ],
    ]);
  });

  it('sends empty parts, alone and among others', async () => {
    await arrives([
      [Buffer.alloc(0), ['', 'utf8']],
      [['', 'latin1'], Buffer.from('a'), Buffer.alloc(0), ['b', 'utf8']],
      [Buffer.alloc(0), Buffer.alloc(0), ['', 'utf8']],
    ]);
  });

  it('sends what is larger than it joins, and what is just as large', async () => {
    for (const size of [64 * 1024 - 5, 64 * 1024 - 4, 64 * 1024 - 3, 3_000_000]) {
      await arrives([
        [['head', 'latin1'], Buffer.alloc(size, 'x')],
        [Buffer.from('end'), ['!', 'utf8']],
      ]);
    }
  });

  it('sends whatever it is given', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 50_000 }).map((bytes): Part => Buffer.from(bytes)),
      fc.tuple(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom(...ENCODINGS)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(part, { maxLength: 5 }), { maxLength: 4 }), async (batches) => {
        const expected = Buffer.concat(batches.flat().map(bytesOf));
        assert.ok((await send(batches, PLAIN)).equals(expected));
      }),
      { numRuns: 40 },
    );
  });

  it('hands a small request to the system in one piece', async () => {
    const writes: number[] = [];
    const server = createServer((socket) => socket.end().resume());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const socket = connect({ port: address.port, host: '127.0.0.1' });
    const write = socket._write.bind(socket);
    socket._write = (chunk, encoding, callback) => {
      writes.push(chunk.length);
      write(chunk, encoding, callback);
    };
    joinWrites(socket);
    await once(socket, 'connect');
    socket.cork();
    socket.write('head', 'latin1');
    socket.write(Buffer.from('body'));
    socket.uncork();
    socket.end();
    socket.resume();
    await once(socket, 'close');
    server.close();
    assert.deepEqual(writes, [8]);
  });
});
