import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import {
  Calibration,
  type CounterStore,
  clientAddress,
  JwksCache,
  type JwksSource,
  Limiter,
  MemoryStore,
  type ReplicaMessage,
  type ReplicaRelay,
} from '@sallyport/access';
import type { Action, Clock, GuardSettings, Logger, Meter, Random, Snapshot, Tracer, Upstream } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import { Classifier } from './classifier/classifier.ts';
import { type Compiled, type CompileOptions, compile } from './compiled.ts';
import type { Door } from './door.ts';
import { nameServers } from './egress/named-servers.ts';
import { GuardBook } from './guard-book.ts';
import { type GatewayHealth, renderHealth, summarise } from './health.ts';
import { describeConnection } from './http/connection.ts';
import { type Incoming, readBody } from './http/incoming.ts';
import { checkMaterial, Listener, type TlsMaterial } from './http/listener.ts';
import { Reply } from './http/reply.ts';
import type { Writer } from './http/writer.ts';
import { OutputLengths } from './output-length.ts';
import { exchange } from './pipeline.ts';
import type { BodiesPort, LedgerPort } from './ports.ts';
import { answerPreflight } from './preflight.ts';
import type { ExchangeRecord } from './record.ts';
import { RequestIds } from './request-id.ts';
import { type RiskBoard, RiskWatch } from './risk-watch.ts';
import { Running } from './running.ts';
import { Strangers } from './strangers.ts';
import { DEFAULTS, refuseUnready } from './unready.ts';
import { Artifacts } from './upstream/artifacts.ts';
import { FirstBytes } from './upstream/first-bytes.ts';
import { UpstreamRegistry } from './upstream/registry.ts';
import type { ResolveSecret } from './upstream/secrets.ts';
import type { Seat } from './upstream/slots.ts';

/** Where snapshots come from. */
export interface SnapshotSource {
  /** The newest snapshot, or null before the first. */
  current(): Snapshot | null;
  /** Called with each new one; returns the unsubscription. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void;
  /** Epoch milliseconds since when the source is out of reach, or null. */
  staleSince(): number | null;
}

export interface GatewayOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsMaterial | null;
  readonly snapshots: SnapshotSource;
  readonly pepper: CompileOptions['pepper'];
  readonly jwks: JwksSource;
  /** The way out. The gateway tells it which servers each snapshot names. */
  readonly egress: Egress;
  readonly ledger: LedgerPort & { failing(): boolean };
  /** Where texts are stored. Default: nowhere. */
  readonly bodies?: BodiesPort | null;
  readonly resolveSecret: ResolveSecret;
  readonly meter: Meter;
  /** Actions of which the ledger knows before the upstream does. Default: none. */
  readonly recordFirst?: Iterable<Action>;
  /** Follows exchanges across services; nothing is traced without it. */
  readonly tracer?: Tracer | null;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Tells other replicas of callers' conduct and of servers that fail; what they tell comes back through `hear`. */
  readonly relay?: ReplicaRelay;
  /** The processes among which the slots of servers are divided. Default: this is the only one. */
  readonly seat?: Seat;
  /** Where limits are counted. Default: in this process. */
  readonly counters?: CounterStore;
  /** Told of every API key that was taken; must be cheap. */
  readonly keyUsed?: (id: string) => void;
  /** Milliseconds between two probes of an upstream; 0 probes none. Default 10 s. */
  readonly probeInterval?: number;
}

/** What a reload takes up beside the snapshot. */
export interface Reload {
  /** Null keeps the certificate in use. */
  readonly tls: TlsMaterial | null;
  readonly upstreams: Iterable<Upstream>;
  readonly guard: GuardSettings;
}

/** The data plane: a port, the upstreams behind it, and the snapshot between. */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #door: Door;
  readonly #upstreams: UpstreamRegistry;
  readonly #strangers: Strangers;
  readonly #jwks: JwksCache;
  readonly #limiter: Limiter;
  readonly #calibration = new Calibration();
  readonly #ids: RequestIds;
  readonly #running = new Running<ExchangeRecord>();
  readonly #risk: RiskWatch;
  /** What a breaker does because of another replica's word is not told to others. */
  #hearing = false;
  #classifier: Classifier | null = null;
  #listener: Listener | null = null;
  #compiled: Compiled | null = null;
  #unsubscribe: () => void = () => undefined;
  #draining = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { clock, random, logger, ledger, meter } = options;
    const artifacts = new Artifacts({ ledger, clock, random, logger });
    this.#upstreams = new UpstreamRegistry({
      artifacts,
      onProbed: async () => {
        if (this.#compiled !== null) await artifacts.record(this.#compiled.snapshot);
      },
      resolveSecret: options.resolveSecret,
      egress: options.egress,
      seat: options.seat ?? { number: 0, of: 1 },
      onBreaker: (upstream, model, state, reason, scope) => {
        meter.breaker(upstream, model, state);
        logger[state === 'open' ? 'warn' : 'info']('upstream.breaker', { upstream, model, state, reason });
        if (this.#hearing || state === 'half-open' || scope === 'one caller') return;
        const news = state === 'closed' ? 'closed' : scope === 'busy' ? 'busy' : 'open';
        const milliseconds = news === 'busy' ? (this.#upstreams.get(upstream)?.rests(model) ?? 0) : 0;
        options.relay?.send({ kind: 'breaker', upstream, model, news, milliseconds, reason: reason ?? '' });
      },
      clock,
      logger,
      probeInterval: options.probeInterval ?? PROBE_INTERVAL,
    });
    this.#strangers = new Strangers({ ledger, logger, clock, random });
    this.#jwks = new JwksCache(options.jwks, clock);
    this.#limiter = new Limiter(options.counters ?? new MemoryStore(clock), clock);
    this.#ids = new RequestIds(random);
    this.#risk = new RiskWatch({
      ledger,
      logger,
      clock,
      random,
      relay: options.relay ?? null,
      onBlocked: (subject) => {
        for (const record of this.#running) record.keepOut(subject);
      },
    });
    const recorder = {
      ledger,
      bodies: options.bodies ?? null,
      strangers: this.#strangers,
      meter,
      clock,
      recordFirst: new Set(options.recordFirst),
      artifacts,
      lengths: new OutputLengths(),
      tracer: options.tracer ?? null,
      running: this.#running,
      risk: this.#risk,
      policy: () => this.#compiled?.policy ?? null,
    };
    this.#door = {
      upstreams: this.#upstreams,
      firstBytes: new FirstBytes(),
      ledger,
      recorder,
      clock,
      random,
      logger,
      keyUsed: options.keyUsed ?? (() => undefined),
    };
  }

  /** Takes the first snapshot and binds the port. Rejects where the port cannot be bound. */
  async start(): Promise<AddressInfo> {
    const first = this.#options.snapshots.current();
    if (first !== null) this.#take(first);
    this.#unsubscribe = this.#options.snapshots.subscribe((snapshot) => this.#take(snapshot));
    const http = (first ?? DEFAULTS).http;
    this.#listener = new Listener({
      ...this.#options.listen,
      http,
      tls: this.#options.tls,
      logger: this.#options.logger,
      handler: (request, writer, socket) => this.#handle(request, writer, socket),
      connectionsOf: (address) => this.#connectionsOf(address),
    });
    if (this.#options.probeInterval !== 0) void this.#upstreams.probeAll();
    return await this.#listener.listen();
  }

  /** Whom the gateway holds back and why; an operator may lift it. */
  get risk(): RiskBoard {
    return this.#risk;
  }

  /** What another replica has told, `age` milliseconds ago. */
  hear(message: ReplicaMessage, age: number = 0): void {
    if (message.kind !== 'breaker') this.#risk.apply(message, age);
    else if (age < NEWS) {
      this.#hearing = true;
      this.#upstreams.get(message.upstream)?.told(message);
      this.#hearing = false;
    }
  }

  health(): GatewayHealth {
    return summarise({
      snapshot: this.#compiled?.snapshot ?? null,
      staleSince: this.#options.snapshots.staleSince(),
      draining: this.#draining,
      ledgerFailing: this.#options.ledger.failing(),
      upstreams: this.#upstreams.reports(),
      now: this.#options.clock.now(),
    });
  }

  /**
   * Reads and tries everything a reload needs, and returns what puts certificates and credentials in force, to be called once the
   * snapshot of the new configuration was published. Throws where something cannot be read or used; nothing has changed then.
   */
  prepareReload({ tls, upstreams, guard }: Reload): () => void {
    if (tls !== null) checkMaterial(tls);
    // What does not compile throws here, before anything is taken up.
    new GuardBook(guard, new Uint8Array(32));
    const secrets = this.#upstreams.readAll(upstreams);
    return () => {
      if (tls !== null) this.#listener?.setTls(tls);
      if (this.#compiled !== null) this.#upstreams.update(this.#compiled.snapshot, secrets);
    };
  }

  /** Reads credentials of the configuration in force again and takes `tls`. Streams go on. Throws as `prepareReload` does. */
  reload(tls: TlsMaterial | null): void {
    const snapshot = this.#compiled?.snapshot;
    if (snapshot !== undefined) this.prepareReload({ tls, upstreams: snapshot.upstreams.values(), guard: snapshot.guard })();
    else if (tls !== null) this.#listener?.setTls(tls);
  }

  /** Stops accepting, ends what runs within the drain time, or within `patience` (milliseconds), then cuts the rest (SIGTERM). */
  async drain(patience?: number): Promise<void> {
    this.#draining = true;
    await this.#listener?.drain(patience ?? (this.#compiled?.snapshot ?? DEFAULTS).http.drainTimeout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    if (!this.#draining) await this.drain();
    await this.#upstreams[Symbol.asyncDispose]();
    this.#risk[Symbol.dispose]();
    await this.#strangers[Symbol.asyncDispose]();
  }

  /** A snapshot that cannot be used leaves the one in force in force, and the log says why. */
  #take(snapshot: Snapshot): void {
    try {
      const { pepper, meter, clock, logger } = this.#options;
      const classifier = this.#classifierOf(snapshot);
      const compiled = compile(snapshot, {
        pepper,
        classifier,
        jwks: this.#jwks,
        limiter: this.#limiter,
        risk: this.#risk,
        calibration: this.#calibration,
        meter,
        clock,
        inForce: this.#compiled,
      });
      nameServers(this.#options.egress, snapshot);
      this.#risk.configure(snapshot.risk);
      this.#compiled = compiled;
      this.#classifier = classifier;
      this.#upstreams.update(snapshot);
      for (const record of this.#running) record.review(this.#compiled.policy);
      logger.info('snapshot.taken', { version: snapshot.version });
    } catch (error) {
      this.#options.logger.error('snapshot.refused', {
        version: snapshot.version,
        reason: error instanceof Error ? error.message : 'unknown',
      });
    }
  }

  /** The one in use where the configuration says the same of it. Throws where its credential cannot be read. */
  #classifierOf({ guard: { classifier: settings } }: Snapshot): Classifier | null {
    if (settings === undefined) return null;
    if (JSON.stringify(this.#classifier?.settings) === JSON.stringify(settings)) return this.#classifier;
    const { egress, clock, logger, resolveSecret } = this.#options;
    const credential = settings.credential === null ? null : resolveSecret(settings.credential);
    return new Classifier(settings, { egress, clock, logger, credential });
  }

  // The client's bytes enter here.
  #handle(request: IncomingMessage | Http2ServerRequest, writer: Writer, socket: Socket): void {
    const startedAt = this.#options.clock.monotonic();
    const connection = describeConnection(socket);
    const compiled = this.#compiled;
    const http = (compiled?.snapshot ?? DEFAULTS).http;
    const reply = new Reply(writer, { secure: connection.tls !== null, writeTimeout: http.bodyTimeout });
    const id = this.#ids.next();
    reply.addHeaders(['x-request-id', id]);
    if (this.#draining) reply.closeAfter();
    const url = request.url ?? '';
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    if (this.#answerHealth(request.method ?? '', path, request.headers['transfer-encoding'], reply)) return;
    if (compiled === null) {
      refuseUnready(reply, id);
      return;
    }
    const { headers, rawHeaders } = request;
    const forwarded = headers['x-forwarded-for'];
    const ip = clientAddress(connection.address, typeof forwarded === 'string' ? forwarded : null, compiled.trustedProxies);
    const incoming: Incoming = {
      id,
      method: request.method === 'HEAD' ? 'GET' : (request.method ?? ''),
      httpVersion: 'stream' in request ? '2' : request.httpVersion,
      path,
      headers,
      rawHeaders,
      source: { ip, port: connection.port, tls: connection.tls },
      clientCertificate: connection.certificate,
      startedAt,
      reply,
      body: (settings) => readBody(request, reply, settings),
      complete: () => request.complete,
    };
    if (incoming.method === 'OPTIONS') {
      answerPreflight(incoming, compiled);
      return;
    }
    void exchange(this.#door, compiled, incoming).catch((error: unknown) => this.#lost(id, reply, error));
  }

  /** Whoever is believed about addresses brings many clients over one. */
  #connectionsOf(address: string): number {
    const proxies = this.#compiled?.trustedProxies;
    return proxies?.has(address) === true ? Number.POSITIVE_INFINITY : (this.#compiled?.snapshot ?? DEFAULTS).http.maxConnectionsPerAddress;
  }

  #answerHealth(method: string, path: string, codings: string | undefined, reply: Reply): boolean {
    if (path !== '/health/live' && path !== '/health/ready') return false;
    if (method !== 'GET' && method !== 'HEAD') return false;
    // Where its body ends two readers may not agree on.
    if (codings !== undefined) reply.closeAfter();
    const { status, body } = renderHealth(path === '/health/live' ? 'live' : 'ready', this.health());
    reply.send(status, 'application/json', [], Buffer.from(body));
    return true;
  }

  /** The pipeline answers for itself; what comes here is a defect in its last lines. The client must not hang on it. */
  #lost(request: string, reply: Reply, error: unknown): void {
    this.#options.logger.error('exchange.lost', { request, error: error instanceof Error ? error.name : 'unknown' });
    if (!reply.finished) reply.cut();
  }
}

/** Milliseconds for which what another replica found of a server is news. */
const NEWS = 10_000;

/** Milliseconds between two active probes of an upstream. */
const PROBE_INTERVAL = 10_000;
