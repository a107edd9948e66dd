import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, Launched, type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import { Authority, type IssuedCertificate } from '@sallyport/testkit/certificates';

/** Why rsyslog cannot be run here, or null. */
export const missing: string | null = existsSync('/usr/sbin/rsyslogd') ? null : 'rsyslog is not installed';
const plugin = (name: string): boolean =>
  existsSync(`/usr/lib/x86_64-linux-gnu/rsyslog/${name}.so`) ||
  existsSync(`/usr/lib/rsyslog/${name}.so`) ||
  existsSync(`/usr/lib/aarch64-linux-gnu/rsyslog/${name}.so`);
export const missingTls: string | null = missing ?? (plugin('lmnsd_gtls') ? null : 'rsyslog-gnutls is not installed');
export const missingRelp: string | null = missing ?? (plugin('imrelp') ? null : 'rsyslog-relp is not installed');

export type Input = 'tcp' | 'tls' | 'relp' | 'relps';

/** A message as rsyslog parsed it. */
export interface Parsed {
  readonly msg: string;
  readonly pri: string;
  readonly hostname: string;
  readonly 'app-name': string;
  readonly procid: string;
  readonly msgid: string;
  readonly timereported: string;
  readonly 'structured-data': string;
}

/** A real rsyslog with one input, which writes what it parsed as JSON. TLS asks for a client certificate of the same authority. */
export class Rsyslog implements AsyncDisposable {
  readonly port: number;
  readonly authority: Authority;
  readonly client: IssuedCertificate;
  readonly #directory: TemporaryDirectory;
  #process: Launched | null = null;

  private constructor(port: number, authority: Authority, client: IssuedCertificate, directory: TemporaryDirectory) {
    this.port = port;
    this.authority = authority;
    this.client = client;
    this.#directory = directory;
  }

  static async start(input: Input): Promise<Rsyslog> {
    const directory = await temporaryDirectory('sallyport-rsyslog-');
    const authority = await Authority.create();
    const server = await authority.issueServer();
    const port = await freePort();
    await writeFile(directory.file('ca.pem'), authority.cert);
    await writeFile(directory.file('cert.pem'), server.cert);
    await writeFile(directory.file('key.pem'), server.key);
    await writeFile(directory.file('rsyslog.conf'), configuration(input, port, directory));
    const rsyslog = new Rsyslog(port, authority, await authority.issueClient(), directory);
    await rsyslog.resume();
    return rsyslog;
  }

  /** Starts it, also again after `kill`. */
  async resume(): Promise<void> {
    const args = ['-n', '-f', this.#directory.file('rsyslog.conf'), '-i', this.#directory.file('pid')];
    this.#process = await Launched.launch('/usr/sbin/rsyslogd', args);
    while (!(await listening(this.port))) {
      if (this.#process.exit !== null) throw new Error(`rsyslogd ended: ${this.#process.stderr}`);
      await delay(20);
    }
  }

  /** The crash of a receiver. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  /** What it has written to the disk so far. */
  async parsed(): Promise<Parsed[]> {
    const text = await readFile(this.#directory.file('out'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop();
    await this.#directory[Symbol.asyncDispose]();
  }
}

function configuration(input: Input, port: number, directory: TemporaryDirectory): string {
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => directory.file(name));
  const inputs: Record<Input, string> = {
    tcp: `module(load="imtcp")\ninput(type="imtcp" port="${port}" address="127.0.0.1" ruleset="out")`,
    tls: [
      `global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="${ca}" defaultNetstreamDriverCertFile="${cert}" defaultNetstreamDriverKeyFile="${key}")`,
      'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")',
      `input(type="imtcp" port="${port}" address="127.0.0.1" ruleset="out")`,
    ].join('\n'),
    relp: `module(load="imrelp")\ninput(type="imrelp" port="${port}" address="127.0.0.1" ruleset="out" maxDataSize="64k")`,
    relps: `module(load="imrelp" tls.tlslib="gnutls")\ninput(type="imrelp" port="${port}" address="127.0.0.1" ruleset="out" maxDataSize="64k" tls="on" tls.caCert="${ca}" tls.myCert="${cert}" tls.myPrivKey="${key}" tls.authMode="certvalid" tls.permittedPeer=["*"])`,
  };
  const properties = ['msg', 'pri', 'hostname', 'app-name', 'procid', 'msgid', 'timereported', 'structured-data'];
  const fields = properties.map(
    (name) => `property(name="${name}" outname="${name}" format="jsonf"${name === 'timereported' ? ' dateFormat="rfc3339"' : ''})`,
  );
  return [
    `global(workDirectory="${directory.path}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")`,
    `template(name="line" type="list") { constant(value="{") ${fields.join(' constant(value=",") ')} constant(value="}\\n") }`,
    `ruleset(name="out") { action(type="omfile" file="${directory.file('out')}" template="line" asyncWriting="off" flushOnTXEnd="on") }`,
    inputs[input],
    '',
  ].join('\n');
}

function listening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
