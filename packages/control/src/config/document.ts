import type {
  Action,
  ContentAction,
  ExporterKind,
  ExportFormat,
  GuardPack,
  KafkaCompression,
  KafkaSasl,
  LimitDimension,
  OtlpProtocol,
  PersonalAction,
  RiskSignal,
  UpstreamKind,
} from '@sallyport/core';

/** `sallyport.yaml` as it is written, after its shape was checked. Every key is described in docs/configuration.md. */
export interface ConfigDocument {
  listen?: { gateway?: string; control?: string };
  tls?: TlsDocument;
  http?: HttpDocument;
  upstreams?: UpstreamDocument[];
  models?: ModelDocument[];
  identity?: { issuers?: IssuerDocument[]; certificates?: CertificateDocument[] };
  roles?: RoleDocument[];
  limits?: LimitDocument[];
  guards?: GuardsDocument;
  storage?: { url?: string; password?: string };
  counters?: { url?: string; password?: string; ca?: string; onUnavailable?: 'refuse' | 'local'; shares?: number };
  risk?: RiskDocument;
  fairness?: { tenants?: { name: string; weight: number }[]; priorities?: { name: string; weight: number; roles: string[] }[] };
  egress?: { hosts?: string[]; networks?: string[]; proxy?: EgressProxyDocument };
  audit?: {
    directory?: string;
    recordFirst?: Action[];
    onUnavailable?: 'refuse' | 'unsafe-continue-unrecorded';
    retention?: string;
    bodies?: 'none' | 'sealed';
    bodiesKey?: string;
    exporters?: ExporterDocument[];
  };
  telemetry?: TelemetryDocument;
}

export interface TelemetryDocument {
  scrape?: ScrapeDocument[];
  otlp?: OtlpDocument;
  traces?: TracesDocument;
}

export interface ScrapeDocument {
  name: string;
  kind: 'vllm' | 'llamacpp' | 'tgi' | 'dcgm' | 'nvidia-smi';
  url: string;
}

export interface OtlpDocument {
  url: string;
  protocol?: OtlpProtocol;
  authorization?: string;
  metrics?: boolean;
  interval?: string;
}

export interface TracesDocument {
  sample?: number;
  followClient?: boolean;
  identity?: boolean;
}

export interface EgressProxyDocument {
  url: string;
  credential?: string;
  except?: string[];
}

export interface ExporterDocument {
  name: string;
  kind: ExporterKind;
  url: string;
  format?: ExportFormat;
  tls?: { ca?: string; cert?: string; key?: string; serverName?: string };
  token?: string;
  username?: string;
  password?: string;
  headers?: Record<string, string>;
  brokers?: string[];
  sasl?: KafkaSasl;
  tokenUrl?: string;
  scope?: string;
  compression?: KafkaCompression;
  protocol?: OtlpProtocol;
  target?: string;
  prefix?: string;
  region?: string;
  acknowledge?: boolean;
  batch?: { events?: number; bytes?: number; wait?: string };
  timeout?: string;
  maxAge?: string;
  start?: 'oldest' | 'newest';
}

export interface RiskDocument {
  enabled?: boolean;
  points?: Partial<Record<RiskSignal, number>>;
  halfLife?: string;
  throttle?: { at?: number; perMinute?: number };
  challenge?: { at?: number };
  block?: { at?: number; for?: string };
  exempt?: string[];
}

export interface TlsDocument {
  cert?: string;
  key?: string;
  clientCa?: string;
  minVersion?: '1.2' | '1.3';
  clientAuth?: 'none' | 'request' | 'require';
}

export interface HttpDocument {
  corsOrigins?: string[];
  trustedProxies?: string[];
  maxConnectionsPerAddress?: number;
  maxBodyBytes?: number;
  maxHeaderBytes?: number;
  timeouts?: { headers?: string; body?: string; keepAlive?: string; drain?: string };
}

export interface UpstreamDocument {
  name: string;
  kind: UpstreamKind;
  url?: string;
  socketPath?: string;
  maxConcurrency?: number;
  connections?: number;
  timeouts?: { connect?: string; firstByte?: string; idle?: string; total?: string };
  breaker?: { failures?: number; open?: string; maxOpen?: string };
  queue?: { perSlot?: number; wait?: string; slowClient?: string };
  retries?: number;
  credential?: string;
  tls?: { ca?: string; cert?: string; key?: string; serverName?: string; pins?: string[] };
}

export interface ModelDocument {
  name: string;
  upstream: string;
  target?: string;
  replicas?: string[];
  hedgeAfter?: string;
  fallbackAnswer?: string;
  fallback?: string[];
  prompt?: string;
  price?: { input?: number; output?: number; cached?: number };
}

export interface IssuerDocument {
  name: string;
  issuer: string;
  audience: string[];
  algorithms?: string[];
  jwksUri: string;
  claims?: { subject?: string; tenant?: string; roles?: string; team?: string };
  tenant?: string;
  roles?: string[];
  roleMap?: Record<string, string>;
  clockTolerance?: string;
}

export interface CertificateDocument {
  name: string;
  spiffeId?: string;
  fingerprint?: string;
  principal: string;
  tenant?: string;
  roles: string[];
  models?: string[];
}

export interface RoleDocument {
  name: string;
  actions: Action[];
  models?: string[];
}

/** One entry may bound several quantities; each becomes a rule of its own. */
export interface LimitDocument {
  name?: string;
  per: LimitDimension;
  requests?: number;
  'input-tokens'?: number;
  'output-tokens'?: number;
  tokens?: number;
  concurrency?: number;
  spend?: number;
  window?: string;
  timezone?: string;
  overrun?: 'cut' | 'finish';
  models?: string[];
}

/** What may be said of a guard policy wherever one is written. */
export interface GuardPolicyDocument {
  pack?: GuardPack;
  input?: string[];
  output?: string[];
  mode?: 'observe' | 'transform' | 'hold';
  deny?: DenyDocument[];
  pii?: PersonalDocument;
  content?: { actions?: Record<string, ContentAction> };
  onBlock?: 'fault' | 'assistant';
  onUnavailable?: 'block' | 'pass-unsafe';
  maxTextLength?: number;
  links?: LinksDocument;
  actions?: Record<string, string>;
  contract?: ContractDocument;
  thresholds?: { injection?: { flag?: number; block?: number } };
}

export interface ContractDocument {
  schema?: Record<string, unknown>;
  requested?: boolean;
  languages?: string[];
  minLength?: number;
  maxLength?: number;
  links?: string[];
  repair?: boolean;
  onBreach?: 'refuse' | 'flag';
}

export interface ClassifierDocument {
  kind: 'chat' | 'score';
  url: string;
  model?: string;
  instructions?: string;
  credential?: string;
  timeout?: string;
  threshold?: number;
  maxConcurrency?: number;
  remember?: string;
  onUnavailable?: 'block' | 'local';
}

export interface GuardsDocument extends GuardPolicyDocument {
  classifier?: ClassifierDocument;
  shadow?: GuardPolicyDocument;
  overrides?: GuardOverrideDocument[];
}

export interface GuardOverrideDocument extends GuardPolicyDocument {
  name: string;
  models?: string[];
  endpoints?: string[];
  roles?: string[];
  tenants?: string[];
  shadow?: GuardPolicyDocument;
}

export interface LinksDocument {
  hosts?: string[];
  only?: boolean;
}

export interface PersonalDocument {
  actions?: Record<string, PersonalAction>;
  recognisers?: RecogniserDocument[];
}

export interface RecogniserDocument {
  name: string;
  pattern: string;
  ignoreCase?: boolean;
  context?: string[];
  checksum?: 'luhn' | 'mod97' | 'mod11-10' | 'verhoeff';
  action?: PersonalAction;
}

export interface DenyDocument {
  name: string;
  pattern: string;
  ignoreCase?: boolean;
  stages?: ('input' | 'output')[];
  action?: 'block' | 'redact' | 'flag';
}
