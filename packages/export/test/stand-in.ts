import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { decodePublished } from '@sallyport/testkit/otlp';
import aws4 from 'aws4';
import { Webhook } from 'standardwebhooks';
import { SECRETS } from './support.ts';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What goes wrong with one request: it is lost, its answer is lost, it waits, or it is answered otherwise. */
export type Trouble = 'lost' | 'answer-lost' | { readonly slow: number } | Answer;

/** Answers a request by the receiver's API. */
export type Api = (request: Received) => Answer;

/** An HTTP receiver whose requests meet the given troubles one after the other, and then none. */
export class StandIn implements AsyncDisposable {
  readonly #server: Server;
  readonly #api: Api;
  readonly troubles: Trouble[] = [];
  requests = 0;

  private constructor(server: Server, api: Api) {
    this.#server = server;
    this.#api = api;
  }

  static async start(api: Api, tls: { readonly cert: string; readonly key: string; readonly ca?: string } | null = null): Promise<StandIn> {
    const server = tls === null ? createServer() : createTlsServer({ ...tls, requestCert: tls.ca !== undefined });
    const standIn = new StandIn(server, api);
    server.on('request', (request, response) => void standIn.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return standIn;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${'setSecureContext' in this.#server ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const body = await buffer(request).catch(() => null);
    // Its sender left in the middle.
    if (body === null) return;
    const trouble = this.troubles.shift() ?? null;
    if (trouble === 'lost') return void request.socket.destroy();
    if (trouble !== null && trouble !== 'answer-lost' && 'status' in trouble) return this.#answer(response, trouble);
    if (trouble !== null && trouble !== 'answer-lost') await delay(trouble.slow);
    const { method = '', url = '', headers } = request;
    const answer = this.#api({ method, url, headers, body });
    if (trouble === 'answer-lost') return void request.socket.destroy();
    this.#answer(response, answer);
  }

  #answer(response: ServerResponse, { status, headers, body }: Answer): void {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body ?? '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** An API, and what it has taken: hashes in the order they came. */
export interface Receiver {
  readonly api: Api;
  readonly received: string[];
}

function json(value: unknown): string {
  return JSON.stringify(value);
}

/** HEC with indexer acknowledgement: `late` questions about an ackId are answered `false` before one is answered `true`. */
export function splunk(late: number = 0): Receiver {
  const received: string[] = [];
  const asked = new Map<number, number>();
  let next = 0;
  return {
    received,
    api: ({ url, headers, body }) => {
      if (headers.authorization !== 'Splunk a-token') return { status: 403, body: json({ text: 'Invalid token', code: 4 }) };
      if (!/^[0-9a-f-]{36}$/.test(String(headers['x-splunk-request-channel']))) return { status: 400, body: json({ code: 10 }) };
      if (url.startsWith('/services/collector/ack?channel=')) {
        const { acks } = JSON.parse(body.toString()) as { acks: number[] };
        return {
          status: 200,
          body: json({ acks: Object.fromEntries(acks.map((id) => [id, (asked.set(id, (asked.get(id) ?? 0) + 1).get(id) ?? 0) > late])) }),
        };
      }
      assert.equal(url, '/services/collector/event');
      const events = body
        .toString()
        .split('\n')
        .map((line) => JSON.parse(line));
      for (const [i, event] of events.entries()) {
        assert.equal(typeof event.time, 'number');
        assert.equal(event.sourcetype, 'sallyport:audit');
        if (event.event.id === 'poison')
          return { status: 400, body: json({ text: 'Invalid data format', code: 6, 'invalid-event-number': i }) };
      }
      received.push(...events.map((event) => event.fields.sallyport_id));
      return { status: 200, body: json({ text: 'Success', code: 0, ackId: next++ }) };
    },
  };
}

/** `_bulk`: documents by `_id`, so that the same is stored once; `busy` items are put off, as a full write queue does. */
export function elasticsearch(
  busy: (id: string) => boolean = () => false,
  denied: () => boolean = () => false,
): Receiver & { readonly documents: Map<string, unknown> } {
  const received: string[] = [];
  const documents = new Map<string, unknown>();
  return {
    received,
    documents,
    api: ({ url, headers, body }) => {
      assert.match(url, /^\/logs-sallyport\.audit-default\/_bulk\?/);
      assert.equal(headers['content-type'], 'application/x-ndjson');
      assert.ok(body.toString().endsWith('\n'));
      const lines = body.toString().trimEnd().split('\n');
      const items: unknown[] = [];
      for (let i = 0; i < lines.length; i += 2) {
        const { create } = JSON.parse(lines[i] ?? '') as { create: { _id: string } };
        const document = JSON.parse(lines[i + 1] ?? '');
        // A data stream takes no document without it.
        const poison = document.http?.request.id === 'poison' || typeof document['@timestamp'] !== 'string';
        const status = denied() ? 403 : poison ? 400 : documents.has(create._id) ? 409 : busy(create._id) ? 429 : 201;
        const type = poison
          ? 'document_parsing_exception'
          : status === 409
            ? 'version_conflict_engine_exception'
            : 'es_rejected_execution_exception';
        if (status === 201) {
          documents.set(create._id, document);
          received.push(create._id);
        }
        items.push({ create: status === 201 ? { status } : { status, error: { type, reason: 'text of the receiver' } } });
      }
      return { status: 200, body: json({ errors: items.length > 0, items }) };
    },
  };
}

interface OtlpRecord extends Record<string, unknown> {
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}
interface OtlpLogs {
  readonly resourceLogs: readonly { readonly scopeLogs: readonly { readonly logRecords: readonly OtlpRecord[] }[] }[];
}

/** OTLP/HTTP logs, in either encoding. Protobuf is read by the OpenTelemetry project's own code. */
export function otlp(): Receiver & { readonly records: Record<string, unknown>[] } {
  const received: string[] = [];
  const records: Record<string, unknown>[] = [];
  return {
    received,
    records,
    api: ({ url, headers, body }) => {
      assert.equal(url, '/v1/logs');
      const isProtobuf = headers['content-type'] === 'application/x-protobuf';
      const { resourceLogs } = (isProtobuf ? decodePublished('logs', body) : JSON.parse(body.toString())) as OtlpLogs;
      for (const { scopeLogs } of resourceLogs)
        for (const { logRecords } of scopeLogs)
          for (const record of logRecords) {
            records.push(record);
            const uid = record.attributes.find(({ key }) => key === 'log.record.uid');
            received.push(uid?.value.stringValue ?? '');
          }
      return isProtobuf ? { status: 200, body: '' } : { status: 200, body: '{}' };
    },
  };
}

/** A webhook receiver; `verify` throws where the signature does not hold. */
export function webhook(
  verify: (body: string, headers: Record<string, string>) => void,
): Receiver & { readonly ids: string[]; readonly attempts: number[] } {
  const received: string[] = [];
  const ids: string[] = [];
  const attempts: number[] = [];
  return {
    received,
    ids,
    attempts,
    api: ({ headers, body }) => {
      verify(body.toString(), headers as Record<string, string>);
      ids.push(String(headers['webhook-id']));
      const { data } = JSON.parse(body.toString()) as { data: { events: { id: string; event: { id: string } }[] } };
      if (data.events.some(({ event }) => event.id === 'poison')) return { status: 422 };
      received.push(...data.events.map(({ id }) => id));
      attempts.push(...data.events.map(() => Number(headers['x-sallyport-attempt'])));
      return { status: 204 };
    },
  };
}

/** Objects by key; `verify` throws where the request's signature does not hold. */
export function s3(verify: (request: Received) => void): Receiver & { readonly objects: Map<string, Buffer> } {
  const received: string[] = [];
  const objects = new Map<string, Buffer>();
  return {
    received,
    objects,
    api: (request) => {
      verify(request);
      assert.equal(request.method, 'PUT');
      const lines = gunzipSync(request.body).toString().trimEnd().split('\n');
      received.push(...lines.map((line) => JSON.parse(line).hash));
      objects.set(request.url, request.body);
      return { status: 200, headers: { etag: '"x"' } };
    },
  };
}

/** Graylog's HTTP input: one message a request. */
export function gelfHttp(): Receiver {
  const received: string[] = [];
  return {
    received,
    api: ({ url, body }) => {
      assert.equal(url, '/gelf');
      const message = JSON.parse(body.toString());
      assert.equal(message.version, '1.1');
      assert.ok(!('_id' in message));
      received.push(message._event_id);
      return { status: 202 };
    },
  };
}

/** By the reference implementation. */
export function verifyWebhook(body: string, headers: Record<string, string>): void {
  new Webhook(SECRETS['env:SECRET'] ?? '').verify(body, headers);
}

/** Signs the same request with another implementation and compares. */
export function verifyS3({ method, url, headers, body }: Received): void {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  for (const name of ['host', 'x-amz-content-sha256', 'x-amz-checksum-sha256', 'x-amz-date']) assert.ok(names.includes(name), name);
  assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'));
  const request = {
    method,
    path: url,
    host: String(headers.host),
    service: 's3',
    region: 'eu-central-1',
    headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
  };
  const signed = aws4.sign(request, { accessKeyId: SECRETS['env:USER'] ?? '', secretAccessKey: SECRETS['env:PASSWORD'] ?? '' });
  const theirs = String(signed.headers?.['Authorization']);
  assert.equal(/Signature=.*/.exec(headers.authorization ?? '')?.[0], /Signature=.*/.exec(theirs)?.[0]);
}
