import type { Policy, RiskSubject } from '@sallyport/access';
import {
  type Action,
  type AddressedText,
  type Clock,
  type Decision,
  type EntryFacts,
  Fault,
  type Meter,
  type Outcome,
  type Principal,
  type Trace,
  type Tracer,
  type Upstream,
  type UpstreamKind,
  type Usage,
} from '@sallyport/core';
import { ExchangeTime, type Spent } from './exchange-time.ts';
import type { Incoming } from './http/incoming.ts';
import { type Kept, KeptBodies } from './kept-bodies.ts';
import type { OutputLengths } from './output-length.ts';
import type { BodiesPort, DigestedTexts, LedgerPort } from './ports.ts';
import { principalSubject, type RiskWatch } from './risk-watch.ts';
import type { Running, Runs } from './running.ts';
import type { Asked, Destination, Identified, Instruction } from './stage/facts.ts';
import type { ReplyFacts } from './stage/reply-facts.ts';
import type { Strangers } from './strangers.ts';
import type { Artifacts } from './upstream/artifacts.ts';
import { VerdictTally } from './verdict-tally.ts';

/**
 * What a model may be called for the ledger to repeat a name that no configuration has: a client can write anything there, a person's
 * address or number too.
 */
const MODEL_NAME = /^(?=.*\p{L})[\p{L}\p{N}_][\p{L}\p{M}\p{N}_./:-]{0,255}$/u;
/** Actions that put a text before a model. */
const ASKS_MODEL: ReadonlySet<string> = new Set<Action>(['model.infer', 'model.embed', 'model.rerank']);
/** Longest text of which the ledger takes the digest later, beside those of other exchanges: some microseconds of work. Bytes. */
const SHORT_TEXT = 16 * 1024;

export interface RecorderPorts {
  readonly ledger: LedgerPort;
  /** Null where no text is stored. */
  readonly bodies: BodiesPort | null;
  readonly strangers: Strangers;
  readonly meter: Meter;
  readonly clock: Clock;
  /** Actions that are on record, durably, before the upstream is asked. */
  readonly recordFirst: ReadonlySet<Action>;
  readonly artifacts: Pick<Artifacts, 'of'>;
  readonly lengths: OutputLengths;
  /** Null where nothing is traced. */
  readonly tracer: Tracer | null;
  /** Exchanges of known callers that have not ended. */
  readonly running: Running<ExchangeRecord>;
  readonly risk: RiskWatch;
  /** The policy in force now; an exchange keeps the one it began with. */
  readonly policy: () => Policy | null;
}

/**
 * What the ledger will say of one exchange. Opened with the exchange and concluded on every path: by `conclude` before the last byte of
 * an answer, or by disposal where the exchange ended in a way nobody foresaw.
 */
export class ExchangeRecord implements Runs, AsyncDisposable {
  place = -1;
  readonly time: ExchangeTime;
  readonly verdicts: VerdictTally;
  readonly #ports: RecorderPorts;
  readonly #incoming: Incoming;
  readonly #startedAt: number;
  #action: Action | 'unknown' = 'unknown';
  #endpoint = '-';
  #principal: Principal | null = null;
  #session: string | null = null;
  #decision: Decision | null = null;
  #model: string | null = null;
  /** Its name as the ledger has it. */
  #recorded: string | null = null;
  /** The model where it is one of the configuration: what a client makes up must not become a label of the metrics. */
  #modelLabel = '-';
  #upstream: string | null = null;
  #prompt: string | null = null;
  /** The override its guard policy comes from, or `default`. */
  #guard = 'default';
  #provider: UpstreamKind | null = null;
  #artifact: string | null = null;
  #streamed = false;
  #attempts = 0;
  /** The other server that was asked, and whose answer was heard; null where none was. */
  #hedge: { readonly upstream: string; readonly answered: 'first' | 'second' | 'none' } | null = null;
  #countedLocally = false;
  /** Number of the entry that says it was begun, or null where none does. */
  #opened: number | null = null;
  /** Why the route's own text was answered, or null. */
  #fallback: string | null = null;
  /** What was asked and answered: its digest, or the text itself where the ledger is still to take it. */
  #asked: string | Uint8Array | null = null;
  #replied: string | Uint8Array | null = null;
  #reply: ReplyFacts | null = null;
  #isUnusual = false;
  /** Its texts, where policy has them stored. */
  #bodies: KeptBodies | null = null;
  #kept: Kept | null = null;
  #texts: readonly AddressedText[] = [];
  /** Undefined until somebody asks: whether an exchange is traced may depend on who it is. */
  #trace: Trace | null | undefined;
  #concluded = false;

  constructor(incoming: Incoming, ports: RecorderPorts) {
    this.#incoming = incoming;
    this.#ports = ports;
    this.time = new ExchangeTime(ports.clock, incoming.startedAt);
    this.verdicts = new VerdictTally(ports.meter);
    this.#startedAt = ports.clock.now();
    ports.meter.inFlight(1);
  }

  /** Whether its sender is known. */
  get isKnown(): boolean {
    return this.#principal !== null;
  }

  /** Stops the exchange where it is one of a subject that is kept out from now on. */
  keepOut(subject: RiskSubject): void {
    if (this.#principal === null) return;
    if (subject !== principalSubject(this.#principal) && subject !== `session:${this.#session}`) return;
    this.#incoming.reply.stop(
      new Fault('forbidden', 'The request was ended because of others that were refused.', { detail: 'risk:block' }),
    );
  }

  endpoint(id: string, action: Action): void {
    this.#endpoint = id;
    this.#action = action;
  }

  identified({ principal, session }: Identified): void {
    this.#principal = principal;
    this.#session = session;
    this.#ports.running.add(this);
  }

  /**
   * Stops the exchange where a policy newer than the one it began under no longer permits it: a revoked key, a role taken away. That a
   * credential has run out since the exchange began is no change of policy.
   */
  review(policy: Policy): void {
    if (this.#principal === null || this.#action === 'unknown') return;
    const context = { now: this.#startedAt, ip: this.#incoming.source.ip };
    const decision = policy.decide(this.#principal, this.#action, { kind: 'model', name: this.#model ?? '*' }, context);
    // Before it was decided on, its model is not known: only the credential can be judged.
    const counts = this.#decision !== null || decision.rule.startsWith('credential:');
    if (decision.effect === 'deny' && counts) this.#incoming.reply.stop(withdrawn(decision));
  }

  asked({ model, request, snapshot }: Asked): void {
    const isConfigured = model !== null && snapshot.routes.has(model);
    if (isConfigured) this.#modelLabel = model;
    this.#model = model;
    this.#recorded = model === null || isConfigured || MODEL_NAME.test(model) ? model : '*';
    this.#streamed = request?.stream ?? false;
    this.#texts = request?.texts ?? [];
    // A stream may take minutes, for which nothing is kept that is not needed.
    if (request !== null)
      this.#asked = request.stream ? this.#ports.ledger.digest(request.json.bytes) : this.#digestable(request.json.bytes);
    const { bodies } = this.#ports;
    if (bodies !== null && request !== null && this.#principal !== null && ASKS_MODEL.has(this.#action))
      this.#bodies = new KeptBodies(bodies, this.#principal, this.#incoming.id, request.json.bytes);
  }

  /** It is within its limits. */
  admitted(): void {
    this.#bodies?.begin();
  }

  /** A piece of a stream, in the order and at the time in which the client gets it. */
  sent(piece: Uint8Array): void {
    if (!this.#concluded) this.#bodies?.sent(piece);
  }

  /** @throws Fault where a policy newer than `policy`, which came while the body was read or an issuer asked, no longer permits it */
  decided(decision: Decision, policy: Policy): void {
    this.#decision = decision;
    const newest = this.#ports.policy();
    if (newest === null || newest === policy) return;
    this.review(newest);
    const { ended } = this.#incoming.reply;
    if (ended !== null) throw ended;
  }

  /** Shared counters were out of reach: a share of the limits in this process admitted it. */
  countedLocally(): void {
    this.#countedLocally = true;
  }

  /** The guard policy it is inspected by. */
  guardedBy(policy: string): void {
    this.#guard = policy;
  }

  /** The system prompt it was given, by name and version. */
  instructed(instruction: Instruction | null): void {
    if (instruction === null) return;
    this.#prompt = `${instruction.name}@${instruction.version}`;
    if (this.#texts.some(({ provenance }) => provenance === 'system')) this.#ports.meter.unknownPrompt(this.#modelLabel);
  }

  /**
   * Puts on record that the upstream is about to be asked, where the action is one that has to be known before it is done; null where it is
   * not. Rejects like `conclude`: the upstream is not asked then.
   */
  begin(): Promise<void> | null {
    return this.#action !== 'unknown' && this.#ports.recordFirst.has(this.#action) ? this.#begin() : null;
  }

  async #begin(): Promise<void> {
    if (typeof this.#asked === 'object' && this.#asked !== null) this.#asked = this.#ports.ledger.digest(this.#asked);
    const { seq } = await this.#append(this.#facts('open', null, null, this.time.spent()), null);
    // Nothing was written where the ledger is away and policy goes on without.
    this.#opened = seq < 0 ? null : seq;
  }

  /** A try at an upstream begins, which knows the model as `target`. */
  attempt(upstream: Upstream, target: string): void {
    this.#place(upstream, target);
    this.retry();
  }

  #place({ name, kind }: Upstream, target: string): void {
    this.#artifact = this.#ports.artifacts.of(name, target);
    this.#upstream = name;
    this.#provider = kind;
  }

  /** It is tried once more at the same upstream. */
  retry(): void {
    this.#attempts += 1;
    this.time.asked();
  }

  /** A second server is asked the same. */
  hedged(): void {
    this.#attempts += 1;
  }

  /** One of them answered, or neither. */
  hedgeEnded(answered: 'first' | 'second' | 'none', { route, upstream }: Destination): void {
    this.#ports.meter.hedged(this.#modelLabel, answered);
    this.#hedge = { upstream: upstream.name, answered };
    if (answered !== 'second') return;
    this.#hedge = { upstream: this.#upstream ?? '-', answered };
    this.#place(upstream, route.target);
  }

  /** What the upstream gets so that it can go on with the trace; most exchanges have none. */
  traceHeaders(): readonly string[] {
    return this.#traced()?.headers ?? NO_HEADERS;
  }

  #traced(): Trace | null {
    const { tracer } = this.#ports;
    if (tracer === null) return null;
    if (this.#trace === undefined) {
      // The client's headers: the tracer takes nothing of them but what has the specified form.
      const { traceparent, tracestate } = this.#incoming.headers;
      const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate;
      this.#trace = tracer.begin(Array.isArray(traceparent) ? undefined : traceparent, state, this.#principal !== null);
    }
    return this.#trace;
  }

  /** The route's own text is answered in place of the model. */
  fellBack(reason: string): void {
    this.#fallback = reason;
    this.#upstream = null;
  }

  /** `reply`: the text, which nobody changes from now on, or its digest. */
  replied(reply: string | Uint8Array, facts: ReplyFacts): void {
    this.#replied = typeof reply === 'string' ? reply : this.#digestable(reply);
    if (typeof reply !== 'string') this.#bodies?.replied(reply);
    this.#reply = facts;
  }

  #digestable(text: Uint8Array): string | Uint8Array {
    return text.length <= SHORT_TEXT ? text : this.#ports.ledger.digest(text);
  }

  /** Writes the entry. Resolves when it is durable; rejects with `Fault('not_ready')` where the ledger cannot promise that. */
  conclude(outcome: Outcome, fault: Fault | null, usage: Usage | null): Promise<void> {
    if (this.#concluded) return Promise.resolve();
    this.#concluded = true;
    const spent = this.time.spent();
    // Of what was refused before it was admitted nothing is stored: who may do nothing, or is over a limit, could fill the disk.
    return this.#bodies === null || !this.#bodies.begun
      ? this.#end(outcome, fault, usage, spent)
      : this.#store(this.#bodies, outcome, fault, usage, spent);
  }

  /** The texts first, so that the entry can say what there is of them. */
  async #store(bodies: KeptBodies, outcome: Outcome, fault: Fault | null, usage: Usage | null, spent: Spent): Promise<void> {
    this.#kept = await bodies.conclude(outcome === 'answered');
    const { refusal } = this.#kept;
    if (refusal === null) return await this.#end(outcome, fault, usage, spent);
    const unstored = unrecordable(refusal);
    await this.#end('failed', unstored, usage, spent);
    throw unstored;
  }

  async #end(outcome: Outcome, fault: Fault | null, usage: Usage | null, spent: Spent): Promise<void> {
    if (outcome === 'answered' && usage !== null) this.#isUnusual = this.#ports.lengths.isUnusual(this.#modelLabel, usage.output);
    const trace = this.#traced();
    this.#ports.meter.inFlight(-1);
    this.#ports.meter.exchange({
      id: this.#principal === null ? null : this.#incoming.id,
      trace: trace?.sampled === true ? trace.id : null,
      endpoint: this.#endpoint,
      model: this.#upstream === null ? '-' : this.#modelLabel,
      provider: this.#provider,
      outcome,
      status: fault?.status ?? 200,
      streamed: this.#streamed,
      overhead: spent.overhead / 1000,
      ttft: spent.ttft === null ? null : spent.ttft / 1000,
      total: spent.total / 1000,
      inputTokens: usage?.input ?? 0,
      outputTokens: usage?.output ?? 0,
    });
    const facts = trace?.sampled === true || this.#principal !== null ? this.#facts(outcome, fault, usage, spent) : null;
    if (trace?.sampled === true && facts !== null) {
      this.#ports.tracer?.end(trace, {
        facts,
        status: fault?.status ?? 200,
        provider: this.#provider,
        streamed: this.#streamed,
        askedAfter: spent.askedAfter,
      });
    }
    this.#ports.risk.concluded({
      principal: this.#principal,
      session: this.#session,
      ip: this.#incoming.source.ip,
      fault: fault?.code === 'content_blocked' && this.verdicts.brokeContract ? null : fault,
      wasFlagged: this.verdicts.wasFlagged,
      isForeign: this.verdicts.isForeign,
    });
    // A stranger's requests are counted, not written one by one: who has no credential must not be able to fill the disk.
    if (facts === null || this.#principal === null)
      this.#ports.strangers.count(fault?.detail ?? fault?.code ?? outcome, this.#incoming.source.ip);
    else await Promise.all([this.#append(facts, this.#toDigest()), ...this.#toolFacts(facts).map((call) => this.#append(call, null))]);
  }

  /** Only for an exchange that ended in a way nobody foresaw: every known path has concluded. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ports.running.delete(this);
    if (this.#concluded) return;
    await this.conclude('failed', new Fault('internal_error', 'The exchange ended without a conclusion.'), null);
  }

  /** What cannot be recorded is not answered: the ledger fails closed. */
  async #append(facts: EntryFacts, texts: DigestedTexts | null): Promise<{ readonly seq: number }> {
    try {
      return await this.#ports.ledger.append(facts, texts);
    } catch (cause) {
      throw unrecordable(cause);
    }
  }

  /** What the ledger has to take the digests of. */
  #toDigest(): DigestedTexts {
    return { prompt: textOf(this.#asked), reply: textOf(this.#replied) };
  }

  /** An entry for each tool the model asks for: its name, the shape of the parameters, and a keyed digest of them. */
  #toolFacts(exchange: EntryFacts): EntryFacts[] {
    return (this.#reply?.calls() ?? []).map(({ name, parameters, raw }, call) => ({
      ...exchange,
      kind: 'tool',
      action: 'tool.requested',
      resource: name,
      usage: null,
      latency: null,
      verdicts: [],
      digest: { prompt: null, reply: raw === '' ? null : this.#ports.ledger.digest(Buffer.from(raw)) },
      detail: { call, parameters },
    }));
  }

  #facts(outcome: Outcome, fault: Fault | null, usage: Usage | null, { overhead, ttft, total }: Spent): EntryFacts {
    const { id, source } = this.#incoming;
    const output = this.#reply?.output ?? (this.#isUnusual ? 'unusual-length' : null);
    const principal = this.#principal;
    return {
      id,
      kind: 'request',
      principal:
        principal === null
          ? null
          : {
              id: principal.id,
              kind: principal.kind,
              tenant: principal.tenant,
              credential: `${principal.credential.kind}:${principal.credential.id}`,
            },
      source: { ip: source.ip, port: source.port, tls: source.tls?.version ?? null },
      action: this.#action,
      resource: this.#recorded,
      decision: decisionOf(this.#decision, fault),
      model: this.#recorded === null ? null : { name: this.#recorded, upstream: this.#upstream, artifact: this.#artifact },
      usage: usage === null ? null : { input: usage.input, output: usage.output, cached: usage.cached, exact: usage.exact },
      latency: { overhead: round(overhead), ttft: ttft === null ? null : round(ttft), total: round(total) },
      verdicts: this.verdicts.verdicts(),
      outcome,
      fault: fault?.code ?? null,
      digest: { prompt: digestOf(this.#asked), reply: digestOf(this.#replied) },
      detail: {
        ...(this.#prompt === null ? {} : { prompt: this.#prompt }),
        ...(this.#guard === 'default' ? {} : { guard: this.#guard }),
        endpoint: this.#endpoint,
        attempts: this.#attempts,
        reason: (fault?.detail ?? this.#fallback)?.slice(0, 512) ?? null,
        ...(this.#fallback === null ? {} : { fallback: 'answer' }),
        ...(this.#hedge === null ? {} : { hedge: this.#hedge.answered, hedgeUpstream: this.#hedge.upstream }),
        ...(this.#countedLocally ? { limits: 'local' } : {}),
        ...(this.#opened === null ? {} : { opened: this.#opened }),
        ...(output === null ? {} : { output }),
        ...(this.#kept === null ? {} : { bodies: this.#kept.state }),
      },
    };
  }
}

/** Of a refusal only the fault knows the rule: the exchange ended where it was decided. */
function decisionOf(permitted: Decision | null, fault: Fault | null): EntryFacts['decision'] {
  if (fault?.status === 403 && fault.detail !== null) return { effect: 'deny', rule: fault.detail };
  return permitted === null ? null : { effect: permitted.effect, rule: permitted.rule };
}

/** One message whatever was withdrawn; the rule that says so is for the operator. */
function withdrawn({ rule }: Extract<Decision, { effect: 'deny' }>): Fault {
  return new Fault('invalid_api_key', 'The permission for this request was withdrawn while it ran.', { detail: `withdrawn: ${rule}` });
}

function unrecordable(cause: unknown): Fault {
  return new Fault('not_ready', 'The gateway cannot record requests at the moment.', { detail: 'ledger', cause });
}

function digestOf(text: string | Uint8Array | null): string | null {
  return typeof text === 'string' ? text : null;
}

function textOf(text: string | Uint8Array | null): Uint8Array | null {
  return typeof text === 'string' ? null : text;
}

const NO_HEADERS: readonly string[] = Object.freeze([]);

/** Milliseconds with three decimals. */
function round(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds * 1000) / 1000);
}
