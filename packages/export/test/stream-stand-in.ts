import type { Socket } from 'node:net';
import { listen, type Peer, type ServerCertificate } from './support.ts';

/** A receiver of octet-counted syslog (RFC 6587 section 3.4.1). Ends the connection once the sender has. */
export function syslog(received: string[], tls: ServerCertificate | null = null): Promise<Peer> {
  return listen((socket) => {
    frames(socket, (bytes) => {
      const [head = '', length] = /^(\d{1,6}) /.exec(bytes.toString('latin1', 0, 8)) ?? [];
      const end = head.length + Number(length ?? Number.NaN);
      if (!(bytes.length >= end)) return null;
      received.push(/ id="([0-9a-f]{64})"/.exec(bytes.toString('utf8', head.length, end))?.[1] ?? '');
      return end;
    });
  }, tls);
}

/** Graylog's GELF TCP input: messages end with NUL. Ends the connection once the sender has. */
export function gelfTcp(received: string[], tls: ServerCertificate | null = null): Promise<Peer> {
  return listen((socket) => {
    frames(socket, (bytes) => {
      const end = bytes.indexOf(0);
      if (end < 0) return null;
      received.push(JSON.parse(bytes.toString('utf8', 0, end))._event_id);
      return end + 1;
    });
  }, tls);
}

/** Takes whole frames off what came; `take` says how long the first is, or null where more has to come. */
function frames(socket: Socket, take: (bytes: Buffer) => number | null): void {
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let length = take(bytes); length !== null; length = take(bytes)) bytes = bytes.subarray(length);
  });
  socket.on('end', () => socket.end());
}

/** A RELP server that answers the messages of each read from the last to the first, a byte at a time. */
export function relp(
  received: string[],
  answer: (index: number) => string = () => '200 OK',
  tls: ServerCertificate | null = null,
): Promise<Peer> {
  return listen((socket) => {
    let bytes = Buffer.alloc(0);
    let index = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const answers: string[] = [];
      for (;;) {
        const head = /^(\d+) (open|syslog) (\d+) /.exec(bytes.toString('latin1', 0, 64));
        if (head === null) break;
        const [start, transaction, command, length] = head;
        const end = start.length + Number(length);
        if (bytes.length <= end) break;
        const data = bytes.toString('utf8', start.length, end);
        bytes = bytes.subarray(end + 1);
        if (command === 'syslog') received.push(/id="([0-9a-f]{64})"/.exec(data)?.[1] ?? '');
        const text = command === 'open' ? '200 OK\nrelp_version=0\ncommands=syslog' : answer(index++);
        answers.push(`${transaction} rsp ${text.length} ${text}\n`);
      }
      for (const text of answers.reverse()) for (const byte of text) socket.write(byte);
    });
  }, tls);
}
