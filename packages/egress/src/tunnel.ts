import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { EgressRefused } from './refusal.ts';

/** A proxy as it is used: its credential read. */
export interface HttpProxy {
  readonly url: URL;
  /** `user:password`, or null. */
  readonly credential: string | null;
}

/** Opens a tunnel to `host:port` through an HTTP proxy (RFC 9110 section 9.3.6). The proxy's answer is only looked at for its status. */
export function openTunnel(proxy: HttpProxy, host: string, port: string, timeout: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const authorization =
    proxy.credential === null ? {} : { 'proxy-authorization': `Basic ${Buffer.from(proxy.credential).toString('base64')}` };
  const request = (proxy.url.protocol === 'https:' ? httpsRequest : httpRequest)({
    hostname: proxy.url.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.url.port === '' ? (proxy.url.protocol === 'https:' ? 443 : 80) : Number(proxy.url.port),
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...authorization },
    agent: false,
    timeout,
  });
  const fail = (detail: string, cause?: unknown): void => {
    request.destroy();
    reject(new EgressRefused('proxy', `the proxy made no tunnel: ${detail}`, { cause }));
  };
  request.once('connect', (response, socket, head) => {
    if (response.statusCode !== 200) {
      socket.destroy();
      fail(`status ${response.statusCode}`);
      return;
    }
    socket.setTimeout(0);
    if (head.length > 0) socket.unshift(head);
    resolve(socket as Socket);
  });
  // A proxy that answers a CONNECT like any other request.
  request.once('response', (response) => fail(`status ${response.statusCode}`));
  request.once('timeout', () => fail('no answer in time'));
  request.once('error', (error: Error) => fail('code' in error ? String(error.code) : error.name, error));
  request.end();
  return promise;
}
