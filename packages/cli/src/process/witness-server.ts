import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenAddress } from '@sallyport/control';
import type { Logger } from '@sallyport/core';
import type { Witness } from '@sallyport/ledger';

/** Bytes of a request: a checkpoint with its signatures, and a proof. */
const LARGEST_BODY = 1 << 18;
/** Milliseconds a client has for its whole request. */
const PATIENCE = 10_000;
const MOST_CONNECTIONS = 64;

export interface WitnessServer extends AsyncDisposable {
  readonly address: ListenAddress;
}

/**
 * A witness over HTTP, as c2sp.org/tlog-witness has it: `POST /add-checkpoint`, and `GET /<sha-256 of the origin>/checkpoint` for the
 * newest it cosigned. Who has not sent a whole request in `patience` milliseconds is cut off. Anybody may ask; what is not signed by a log it knows is refused. Nothing of it is secret, so it needs no TLS of its own.
 * @throws Node's error where the address cannot be bound
 */
export async function serveWitness(
  witness: Witness,
  origins: readonly string[],
  listen: ListenAddress,
  logger: Logger,
  patience: number = PATIENCE,
): Promise<WitnessServer> {
  const logs = new Map(origins.map((origin) => [`/${hash('sha256', origin, 'hex')}/checkpoint`, origin]));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '' } = request;
    if (method === 'POST' && url === '/add-checkpoint') {
      const body = await readBody(request);
      if (body === null) return send(response, 413, 'the request is too large\n');
      const { status, contentType, body: text } = await witness.addCheckpoint(body);
      logger.info('witness.asked', { status });
      return send(response, status, text, contentType);
    }
    const origin = method === 'GET' ? logs.get(url) : undefined;
    const newest = origin === undefined ? null : await witness.newest(origin);
    send(response, newest === null ? 404 : 200, newest ?? 'not found\n');
  };
  const timeouts = {
    requestTimeout: patience,
    headersTimeout: patience,
    keepAliveTimeout: patience / 2,
    // Node's default looks for those that are late every 30 seconds only.
    connectionsCheckingInterval: patience / 10,
  };
  const server = createServer({ ...timeouts, maxHeaderSize: 8_192 }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      logger.error('witness.failed', { reason: error instanceof Error ? error.name : 'unknown' });
      if (!response.headersSent) send(response, 500, 'the witness cannot answer now\n');
    });
  });
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(listen.port, listen.host, resolve);
  });
  return { address: { host: listen.host, port: portOf(server) }, [Symbol.asyncDispose]: () => close(server) };
}

function send(response: ServerResponse, status: number, body: string, contentType: string = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, {
    'content-type': contentType,
    'x-content-type-options': 'nosniff',
    ...(status === 413 ? { connection: 'close' } : {}),
  });
  response.end(body);
}

/** A stranger's bytes. Null where there are too many. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > LARGEST_BODY) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
