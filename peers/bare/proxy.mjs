// The least a Node proxy can do: node:http in front, undici `dispatch` behind, bodies collected whole as a gateway must to read them.
// No authentication, no checks, no log. `node proxy.mjs --port N --upstream http://127.0.0.1:M`.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';

const { values } = parseArgs({ options: { port: { type: 'string' }, upstream: { type: 'string' } } });
const pool = new Pool(values.upstream, { connections: 2048, pipelining: 1 });
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'proxy-connection',
  'expect',
  'host',
]);

/** Relays one answer; the head leaves together with the first bytes of the body. */
class Relay {
  #response;
  #controller = null;
  #left;

  constructor(response) {
    this.#response = response;
    response.on('close', () => {
      if (!response.writableFinished) this.#controller?.abort(new Error('client left'));
    });
    response.on('drain', () => this.#controller?.resume());
  }

  onRequestStart(controller) {
    this.#controller = controller;
    if (this.#response.destroyed) controller.abort(new Error('client left'));
  }

  onResponseStart(_controller, status, headers) {
    if (status < 200) return;
    const kept = {};
    for (const name in headers) if (!HOP_BY_HOP.has(name)) kept[name] = headers[name];
    this.#left = Number(headers['content-length'] ?? Number.NaN);
    this.#response.writeHead(status, kept);
  }

  onResponseData(controller, chunk) {
    this.#left -= chunk.length;
    if (this.#left === 0) this.#response.end(chunk);
    else if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd() {
    this.#response.end();
  }

  onResponseError() {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

const server = createServer((request, response) => {
  if (request.url === '/health/ready') return response.end('ok');
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const headers = {};
    for (const name in request.headers) if (!HOP_BY_HOP.has(name)) headers[name] = request.headers[name];
    const body = chunks.length === 0 ? null : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    pool.dispatch({ path: request.url, method: request.method, headers, body }, new Relay(response));
  });
});
server.listen(Number(values.port), '127.0.0.1', () => process.stdout.write('listening\n'));
process.on('SIGTERM', () => process.exit(0));
