import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** What is known of a connection, found once and kept as long as it lives. */
export interface Connection {
  /** Peer address as the socket reports it. */
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly version: string; readonly cipher: string; readonly clientCertificate: string | null } | null;
  /** DER of the client's certificate where its chain was verified, else null. */
  readonly certificate: Buffer | null;
}

const KNOWN = new WeakMap<Socket, Connection>();

export function describeConnection(socket: Socket): Connection {
  const known = KNOWN.get(socket);
  if (known !== undefined) return known;
  const connection = inspect(socket);
  KNOWN.set(socket, connection);
  return connection;
}

function inspect(socket: Socket): Connection {
  const address = socket.remoteAddress ?? '0.0.0.0';
  const port = socket.remotePort ?? 0;
  if (!isTls(socket)) return { address, port, tls: null, certificate: null };
  // `authorized` is true only where a certificate came and its chain ends in the configured client CA.
  const peer = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  return {
    address,
    port,
    tls: {
      version: socket.getProtocol() ?? 'unknown',
      cipher: socket.getCipher().standardName,
      clientCertificate: peer?.fingerprint256 ?? null,
    },
    certificate: peer?.raw ?? null,
  };
}

function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket && socket.encrypted === true;
}
