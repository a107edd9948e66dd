import http from 'node:http';
import https from 'node:https';
import { formatListen } from '@sallyport/control';
import { Fault } from '@sallyport/core';
import type { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { plain, UsageError } from '../terminal.ts';
import { ownTls } from './doctor.ts';
import { globalOptions } from './options.ts';

/** Milliseconds the running server has for its answer. */
const TIMEOUT = 10_000;

/**
 * Asks the admin API of the running server, with the key in SALLYPORT_KEY: for verbs about what only that process knows. `path` begins
 * with `/admin/v1`. Throws `UsageError` without a key, a Fault with the server's own words where it refuses.
 */
export async function askAdmin(command: Command, method: 'GET' | 'POST', path: string, body: object | null): Promise<unknown> {
  const key = process.env['SALLYPORT_KEY'] ?? '';
  if (key === '') throw new UsageError('A key is needed: put it into the environment variable SALLYPORT_KEY.');
  const { place } = globalOptions(command);
  const { config } = await readConfig(place, false);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const { request } = config.tls === null ? http : https;
  const asked = request(
    `${config.tls === null ? 'http' : 'https'}://${formatListen(config.listen.control)}${path}`,
    {
      method,
      ...ownTls(config),
      agent: false,
      signal: AbortSignal.timeout(TIMEOUT),
      headers: { authorization: `Bearer ${key}`, ...(body === null ? {} : { 'content-type': 'application/json' }) },
    },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    },
  );
  asked.on('error', reject).end(body === null ? undefined : JSON.stringify(body));
  const { status, text } = await promise;
  const value: unknown = JSON.parse(text);
  if (status === 200) return value;
  const said = typeof value === 'object' && value !== null ? (Reflect.get(value, 'detail') ?? Reflect.get(value, 'title')) : null;
  throw new Fault(CODES[status] ?? 'forbidden', `The server answers ${status}: ${plain(String(said ?? ''))}`);
}

const CODES: Readonly<Record<number, 'invalid_request' | 'not_found' | 'not_ready'>> = {
  400: 'invalid_request',
  404: 'not_found',
  503: 'not_ready',
};
