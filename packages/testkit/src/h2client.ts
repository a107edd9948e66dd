import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';

export interface H2Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The error code the stream was closed with; 0 is a clean end (RFC 9113 section 7). */
  readonly resetCode: number;
}

/** An HTTP/2 connection over TLS. */
export class H2Connection implements AsyncDisposable {
  readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
  }

  /** `url` is `https://host:port`. Rejects where TLS fails or the server does not choose h2. */
  static async open(url: string, options: SecureClientSessionOptions = {}): Promise<H2Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const session = connect(url, options, () => resolve());
    session.once('error', reject);
    await promise;
    session.off('error', reject);
    session.on('error', () => {}); // streams report what hits them
    return new H2Connection(session);
  }

  /** Sends one request; `headers` includes the pseudo-headers. Rejects where the stream ends without a response. */
  request(headers: OutgoingHttpHeaders, body?: Buffer | string): Promise<H2Response> {
    const { promise, resolve, reject } = Promise.withResolvers<H2Response>();
    const stream = this.session.request(headers, { endStream: body === undefined });
    let head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | null = null;
    const chunks: Buffer[] = [];
    stream.on('response', (received) => {
      head = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (head === null) reject(new Error(`the stream closed without a response, code ${stream.rstCode}`));
      else resolve({ status: head[':status'] ?? 0, headers: head, body: Buffer.concat(chunks), resetCode: stream.rstCode });
    });
    if (body !== undefined) stream.end(body);
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.session.destroyed) return;
    const closed = new Promise<void>((resolve) => this.session.once('close', () => resolve()));
    this.session.destroy();
    await closed;
  }
}
