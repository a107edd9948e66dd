import { fitsCrc32 } from './checksum.ts';
import { entropy, isStandIn } from './entropy.ts';

/**
 * Tokens that give themselves away by their form. `pattern` finds a candidate (the engine takes the longest one), `exact` must fit all of
 * it: so a longer run of the same characters is not taken for a token. `bits` is the least Shannon entropy of the candidate.
 * Source of the forms: the providers' documentation and their own registrations with secret-scanning programmes.
 */
export interface TokenRule {
  readonly id: string;
  readonly pattern: string;
  readonly exact?: RegExp;
  readonly bits?: number;
  /** What may not stand before it. */
  readonly notAfter?: RegExp;
  /** False where the form is so particular that a value like `111111` is no sign of documentation. */
  readonly standIns?: false;
  /**
   * Whether the check digits inside the token fit. Such a token was issued, not made up: it needs no entropy. One that does not fit is
   * judged as if it had none, since a token is often cut or mistyped.
   */
  readonly checksum?: (token: string) => boolean;
}

const WORD = '[A-Za-z0-9_-]';
const ALNUM = '[A-Za-z0-9]';
const BASE64 = '[A-Za-z0-9+/]';

export const TOKENS: readonly TokenRule[] = [
  { id: 'sallyport-key', pattern: `\\bsp_(?:live|test)_${ALNUM}{4,}_${WORD}{20,}`, checksum: (token) => fitsCrc32(token, 0) },
  { id: '1password-service-account', pattern: `\\bops_eyJ${BASE64}{200,}={0,3}`, bits: 4 },
  { id: '1password-secret-key', pattern: '\\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{4,5})(?:-[A-Z0-9]{5}){3}\\b', bits: 3.3 },
  { id: 'age-secret-key', pattern: '\\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}' },
  { id: 'airtable-token', pattern: `\\bpat${ALNUM}{14}\\.[a-f0-9]{64}\\b` },
  { id: 'alibaba-access-key', pattern: `\\bLTAI${ALNUM}+`, exact: /^LTAI[A-Za-z0-9]{20}$/, bits: 3.5 },
  { id: 'anthropic-key', pattern: `\\bsk-ant-${WORD}+`, exact: /^sk-ant-(?:api|admin|oat|sid)\d\d-[\w-]{80,120}AA$/, bits: 3.5 },
  { id: 'artifactory-key', pattern: `\\b(?:AKCp|cmVmd)${ALNUM}+`, exact: /^(?:AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59})$/, bits: 4 },
  { id: 'atlassian-token', pattern: `\\bATATT3[A-Za-z0-9_=-]{180,}` },
  { id: 'aws-access-key', pattern: '\\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\\b', bits: 3 },
  { id: 'aws-bedrock-key', pattern: `\\bABSK${BASE64}+={0,2}`, exact: /^ABSKQmVkcm9ja0FQSUtleS[A-Za-z0-9+/]{90,250}={0,2}$/ },
  { id: 'aws-bedrock-key', pattern: `\\bbedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t${BASE64}*` },
  {
    id: 'azure-client-secret',
    pattern: '(?:\\b|[\'"=:>\\s(,])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}',
    exact: /^[\w~.]{3}\dQ~[\w~.-]{31,34}$/,
    bits: 3.5,
  },
  { id: 'azure-storage-key', pattern: `\\bAccountKey=${BASE64}{86}==` },
  { id: 'clickhouse-key', pattern: `\\b4b1d${ALNUM}+`, exact: /^4b1d[A-Za-z0-9]{38}$/, bits: 3.5 },
  { id: 'cloudflare-origin-ca-key', pattern: '\\bv1\\.0-[a-f0-9]{24}-[a-f0-9]{146}\\b' },
  { id: 'databricks-token', pattern: '\\bdapi[a-f0-9]{32}(?:-\\d)?\\b', bits: 3 },
  { id: 'digitalocean-token', pattern: '\\bdo[opr]_v1_[a-f0-9]{64}\\b' },
  { id: 'discord-webhook', pattern: `\\bdiscord(?:app)?\\.com/api/webhooks/\\d{17,20}/${WORD}{60,80}` },
  { id: 'doppler-token', pattern: `\\bdp\\.(?:pt|st|ct|sa|scim|audit)\\.${ALNUM}{40,44}` },
  { id: 'dynatrace-token', pattern: '\\bdt0[a-z]\\d\\d\\.[A-Z0-9]{24}\\.[A-Z0-9]{64}\\b' },
  { id: 'easypost-key', pattern: `\\bEZ[AT]K${ALNUM}+`, exact: /^EZ[AT]K[A-Za-z0-9]{54}$/ },
  { id: 'facebook-access-token', pattern: `\\b\\d{15,16}(?:\\||%7C)${WORD}{27,40}`, bits: 3 },
  { id: 'facebook-page-token', pattern: `\\bEAA[MC]${ALNUM}{90,}`, bits: 4 },
  { id: 'figma-token', pattern: `\\bfig[dour]_${WORD}{40,}`, bits: 3.5 },
  { id: 'fly-token', pattern: `\\bfo1_${WORD}+`, exact: /^fo1_[\w-]{43}$/, bits: 4 },
  { id: 'fly-token', pattern: `\\bfm[12][ar]?_${BASE64}{100,}={0,3}`, bits: 4 },
  { id: 'gcp-api-key', pattern: `\\bAIzaSy${WORD}+`, exact: /^AIzaSy[\w-]{33}$/, bits: 3.9 },
  {
    id: 'github-token',
    pattern: `\\bgh[pousr]_${ALNUM}+`,
    exact: /^gh[pousr]_[A-Za-z0-9]{36,255}$/,
    bits: 3.5,
    checksum: (token) => fitsCrc32(token, 4),
  },
  { id: 'github-fine-grained-token', pattern: '\\bgithub_pat_[A-Za-z0-9_]+', exact: /^github_pat_[A-Za-z0-9_]{70,100}$/, bits: 3.5 },
  { id: 'gitlab-token', pattern: `\\bgl(?:pat|dt|rt|cbt|ffct|imt|ft|agent|oas|soat|ptt)-[A-Za-z0-9_.-]{20,}`, bits: 3 },
  { id: 'gitlab-runner-token', pattern: `\\bGR1348941${WORD}{20}`, bits: 3 },
  { id: 'google-oauth-secret', pattern: `\\bGOCSPX-${WORD}{28}`, bits: 3 },
  { id: 'google-oauth-token', pattern: `\\bya29\\.${WORD}{50,}`, bits: 4 },
  { id: 'grafana-token', pattern: `\\bglc_${BASE64}{32,}={0,3}`, bits: 3 },
  { id: 'grafana-token', pattern: `\\bglsa_${ALNUM}{32}_[A-Fa-f0-9]{8}\\b`, bits: 3 },
  { id: 'groq-key', pattern: `\\bgsk_${ALNUM}+`, exact: /^gsk_[A-Za-z0-9]{52}$/, bits: 3.5 },
  { id: 'heroku-key', pattern: `\\bHRKU-AA${WORD}{58}`, bits: 3.5 },
  { id: 'huggingface-token', pattern: '\\b(?:hf|api_org)_[A-Za-z0-9_]+', exact: /^(?:hf|api_org)_[A-Za-z]{34}$/, bits: 3 },
  { id: 'infracost-key', pattern: `\\bico-${ALNUM}+\\b`, exact: /^ico-[A-Za-z0-9]{32}$/, bits: 3, notAfter: /[.\w]$/ },
  { id: 'intra42-secret', pattern: '\\bs-s4t2(?:ud|af)-[a-f0-9]{64}\\b', bits: 3 },
  { id: 'json-web-token', pattern: '\\bey[A-Za-z0-9]{17,}\\.ey[A-Za-z0-9/_\\\\-]{17,}\\.[A-Za-z0-9/_\\\\-]*={0,2}' },
  { id: 'linear-key', pattern: `\\blin_(?:api|oauth)_${ALNUM}{40,}` },
  { id: 'mailchimp-key', pattern: '\\b[a-f0-9]{32}-us\\d{1,2}\\b', bits: 3 },
  { id: 'mailgun-key', pattern: '\\bkey-[a-f0-9]{32}\\b', bits: 3 },
  { id: 'newrelic-key', pattern: '\\bNRAK-[A-Z0-9]{27}\\b', bits: 3 },
  { id: 'notion-token', pattern: `\\bntn_${ALNUM}+`, exact: /^ntn_\d{11}[A-Za-z0-9]{35}$/, bits: 4 },
  { id: 'npm-token', pattern: `\\bnpm_${ALNUM}+`, exact: /^npm_[A-Za-z0-9]{36}$/, bits: 3.5, checksum: (token) => fitsCrc32(token, 4) },
  { id: 'octopus-key', pattern: '\\bAPI-[A-Z0-9]+\\b', exact: /^API-[A-Z0-9]{26}$/, bits: 3 },
  { id: 'openai-key', pattern: `\\bsk-(?:(?:proj|svcacct|admin|None)-)?${WORD}{20,}T3BlbkFJ${WORD}{20,}`, bits: 3.5 },
  { id: 'openai-key', pattern: `\\bsk-(?:proj|svcacct|admin|or-v1|lf)-${WORD}{36,}`, bits: 4 },
  { id: 'openai-style-key', pattern: `\\bsk-${ALNUM}+`, exact: /^sk-(?=[A-Za-z]*\d)[A-Za-z0-9]{32,64}$/, bits: 3.5 },
  { id: 'openshift-token', pattern: `\\bsha256~${WORD}{43}`, bits: 3.8 },
  { id: 'perplexity-key', pattern: `\\bpplx-${ALNUM}+`, exact: /^pplx-[A-Za-z0-9]{48}$/, bits: 3.5 },
  { id: 'planetscale-token', pattern: '\\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,64}' },
  { id: 'postman-key', pattern: '\\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\\b' },
  { id: 'prefect-key', pattern: `\\bpnu_${ALNUM}{36}\\b`, bits: 3 },
  { id: 'pulumi-token', pattern: '\\bpul-[a-f0-9]{40}\\b' },
  { id: 'pypi-token', pattern: `\\bpypi-AgEIcHlwaS5vcmc${WORD}{50,}` },
  { id: 'readme-key', pattern: '\\brdme_[a-z0-9]{70}\\b', bits: 3 },
  { id: 'replicate-token', pattern: `\\br8_${ALNUM}{37}\\b`, bits: 3.5 },
  { id: 'rubygems-key', pattern: '\\brubygems_[a-f0-9]{48}\\b' },
  { id: 'scalingo-token', pattern: `\\btk-us-${WORD}{48}`, bits: 3 },
  { id: 'sendgrid-key', pattern: `\\bSG\\.${WORD}{16,32}\\.${WORD}{40,64}`, bits: 3.5 },
  { id: 'sentry-token', pattern: `\\bsntrys_eyJ${BASE64}+={0,2}_${BASE64}{43}`, bits: 4 },
  { id: 'sentry-token', pattern: '\\bsntryu_[a-f0-9]{64}\\b', bits: 3 },
  { id: 'shopify-token', pattern: '\\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\\b' },
  { id: 'sidekiq-credential', pattern: '\\bBUNDLE_(?:ENTERPRISE|GEMS)__CONTRIBSYS__COM[\\s\'"=:]{1,6}[a-f0-9]{8}:[a-f0-9]{8}\\b' },
  {
    id: 'slack-token',
    pattern: '\\bxox[abosprce]-[A-Za-z0-9-]+',
    exact: /^(?!.*x{5})xox[abosprce]-(?:\d-)?\d{8,14}-[A-Za-z0-9-]{8,}$(?<!-)/,
    bits: 2.4,
    standIns: false,
  },
  { id: 'slack-app-token', pattern: '\\bxapp-\\d-[A-Z0-9]{8,}-\\d{8,}-[a-z0-9]{20,}\\b', bits: 3 },
  { id: 'slack-configuration-token', pattern: '\\bxoxe(?:\\.xox[bp])?-\\d-[A-Za-z0-9]{100,}', bits: 3 },
  { id: 'slack-webhook', pattern: '\\bhooks\\.slack\\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,}', bits: 3.5 },
  {
    id: 'sourcegraph-token',
    pattern: '\\bsgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]+\\b',
    exact: /^sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}$/,
    bits: 3,
  },
  { id: 'square-token', pattern: `\\b(?:sq0[a-z]{3}-|EAAA)${WORD}+`, exact: /^(?:sq0[a-z]{3}-[\w-]{22,60}|EAAA[\w-]{60})$/, bits: 3 },
  { id: 'stripe-key', pattern: `\\b(?:[sr]k_(?:test|live|prod)|whsec)_${ALNUM}{10,}`, bits: 3 },
  { id: 'supabase-token', pattern: '\\bsbp_[a-f0-9]{40}\\b' },
  { id: 'telegram-bot-token', pattern: `\\b\\d{8,10}:AA${WORD}{33}`, bits: 3.5 },
  { id: 'terraform-token', pattern: `\\b${ALNUM}{14}\\.atlasv1\\.[A-Za-z0-9_=-]{60,70}`, bits: 3.5 },
  { id: 'twilio-key', pattern: '\\bSK[0-9a-f]{32}\\b', bits: 3 },
  { id: 'typeform-token', pattern: '\\btfp_[A-Za-z0-9_.=-]{59}' },
  { id: 'vault-token', pattern: `\\bhv[sbr]\\.${WORD}{90,}`, bits: 3.5 },
  { id: 'vault-token', pattern: `\\bs\\.${ALNUM}+`, exact: /^s\.(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9]{24}$/, bits: 3.5 },
  { id: 'xai-key', pattern: `\\bxai-${ALNUM}{70,}`, bits: 3.5 },
];

/** Where in a candidate the token is, or null where it is none. */
export function locateToken(
  { exact, bits, notAfter, standIns, checksum }: TokenRule,
  match: string,
  before: string,
): readonly [number, number] | null {
  const start = /^[\s'"=:>(,]/.test(match) ? 1 : 0;
  const token = match.slice(start);
  if (exact !== undefined && !exact.test(token)) return null;
  if (notAfter?.test(before) === true) return null;
  if (checksum?.(token) === true) return [start, match.length];
  if (bits !== undefined && (entropy(token) < bits || (standIns !== false && isStandIn(token)))) return null;
  return [start, match.length];
}
