import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { type AddressList, clientAddress } from '@sallyport/access';
import { type EntryFacts, type Fault, NO_EXCHANGE, type Source } from '@sallyport/core';

/** Where a request came from: the socket's peer, or what a trusted proxy says of it. */
export function sourceOf(request: IncomingMessage, proxies: AddressList): Source {
  const { socket } = request;
  const forwarded = request.headers['x-forwarded-for'];
  const header = Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? null);
  return {
    ip: clientAddress(socket.remoteAddress ?? '', header, proxies),
    port: socket.remotePort ?? 0,
    tls:
      socket instanceof TLSSocket
        ? { version: socket.getProtocol() ?? '', cipher: socket.getCipher().name, clientCertificate: null }
        : null,
  };
}

/** The ledger's entry of a credential that was refused. Its reason is from a closed list. */
export function failedAuthentication(id: string, source: Source, fault: Fault): EntryFacts {
  return {
    id,
    kind: 'auth',
    principal: null,
    source: { ip: source.ip, port: source.port, tls: source.tls?.version ?? null },
    action: 'admin.authenticate',
    resource: null,
    decision: null,
    ...NO_EXCHANGE,
    outcome: 'refused',
    fault: fault.code,
    detail: { reason: fault.detail },
  };
}
