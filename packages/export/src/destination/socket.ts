import type { Socket } from 'node:net';
import type { Egress, TlsOptions } from '@sallyport/egress';
import { DeliveryFailed } from './destination.ts';

const CONNECT_TIMEOUT = 10_000;

/** A connection to `tcp://host:port` or `tls://host:port`, ready to be written to. */
export async function openSocket(
  egress: Egress,
  url: Pick<URL, 'hostname' | 'port'>,
  tls: TlsOptions | null,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = await egress.connect(url.hostname, Number(url.port), tls, CONNECT_TIMEOUT);
  // An error between two waits closes the socket, which the next use notices.
  socket.on('error', () => undefined);
  if (signal.aborted) {
    socket.destroy();
    signal.throwIfAborted();
  }
  socket.setNoDelay(true);
  return socket;
}

/** Writes, and waits while the peer is slow. @throws {DeliveryFailed} the connection is gone */
export async function write(socket: Socket, bytes: string | Uint8Array, signal: AbortSignal): Promise<void> {
  if (socket.destroyed || !socket.writable) throw new DeliveryFailed('the receiver closed the connection');
  if (!socket.write(bytes)) await settled(socket, 'drain', signal);
}

/**
 * Ends our side and waits for the peer to end its own. A receiver does so once it has read everything: plain TCP has no other sign that
 * what was written has arrived anywhere but in a buffer.
 * @throws {DeliveryFailed} it broke off instead, or did not end
 */
export async function finish(socket: Socket, signal: AbortSignal): Promise<void> {
  if (socket.destroyed) throw new DeliveryFailed('the receiver closed the connection');
  socket.resume();
  socket.end();
  await settled(socket, 'end', signal);
  socket.destroy();
}

async function settled(socket: Socket, event: 'drain' | 'end', signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      for (const [name, listener] of listeners) socket.off(name, listener);
      signal.removeEventListener('abort', abort);
    };
    const good = (): void => {
      done();
      resolve();
    };
    const bad = (): void => {
      done();
      reject(new DeliveryFailed('the receiver broke off the connection'));
    };
    const abort = (): void => {
      done();
      socket.destroy();
      reject(signal.reason);
    };
    const listeners = [
      [event, good],
      ['error', bad],
      ['close', bad],
    ] as const;
    for (const [name, listener] of listeners) socket.on(name, listener);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}
