import { trailingFrom } from '../detect/trailing.ts';
import { entropy, isStandIn } from './entropy.ts';

/**
 * Secrets known by the name they are assigned to, or by what stands around them. `locate` gives the part that is secret.
 * Repeats have no upper bound where a candidate can start within another: their threads then meet at one instruction, and the automaton stays small.
 */
export interface AssignmentRule {
  readonly id: string;
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly locate: (match: string, before: string) => readonly [number, number] | null;
}

/** What stands between a name and its value: `=`, `:`, `=>`, `:=`, `","`, quotes, brackets around the name, the type of a declaration, `is`. */
const ASSIGN =
  '["\'\\]`]{0,2}[ \\t]{0,4}(?::[ \\t]?)?(?:(?:&?str|string)[ \\t]{1,4})?(?:=|:|=>|<-|,|\\|\\||>|\\?=|is ){1,4}[ \\t]{0,4}@?["\'`]{0,2}';
const VALUE = '[A-Za-z0-9_.=+/~|-]';

/** Names of services whose keys have no mark of their own: UUIDs and plain strings. The test fits the value. */
const SERVICES: readonly (readonly [name: string, value: RegExp])[] = [
  ['atlassian|confluence|jira', /^(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{24}$/],
  ['cisco|meraki', /^(?=.*[a-f])(?=.*\d)[a-f0-9]{40}$/],
  ['cloudflare', /^[a-f0-9]{37}$|^[\w-]{40}$/],
  ['discord', /^[\w-]{32}$|^[MN][\w-]{23,28}\.[\w-]{6}\.[\w-]{27,38}$/],
  ['dropbox', /^[a-z0-9]{15}$|^sl\.[\w-]{130,}$/],
  ['etsy', /^[a-z0-9]{24}$/],
  ['facebook', /^[a-f0-9]{32}$/],
  ['heroku', /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/],
  ['hubspot|mailjet|message[_-]?bird|snyk', /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/],
  ['linkedin|twitter|twitch|yandex|asana|bitbucket|coinbase|kraken|cohere', /^(?=.*\d)(?=.*[a-zA-Z])[A-Za-z0-9_=-]{16,80}$/],
  ['okta', /^00[\w-]{40}$/],
  ['sonar', /^(?:sq[uap]_)?[A-Za-z0-9]{40}$/],
  ['sourcegraph', /^[a-fA-F0-9]{40}$/],
  ['sumo', /^su[A-Za-z0-9]{12}$|^[A-Za-z0-9]{64}$/],
];

const SERVICE_NAMES = SERVICES.map(([name]) => name).join('|');
const SERVICE_TESTS = SERVICES.map(([name, value]) => [new RegExp(`^(?:${name})`, 'i'), value] as const);

const SECRET_NAMES =
  'passw(?:or)?d|passphrase|pwd|secret(?:s|[_.-]?(?:key|access[_.-]?key|token|value))?|(?:api|app|access|auth|private|encryption|signing|master|service|account)[ _.-]?(?:key|token|secret|pass)|token|(?:user|client)[_.-]?(?:auth|secret|token)|credentials?|bearer';
const SECRET_NAME = new RegExp(`^(?:${SECRET_NAMES})`, 'i');
const WHOLE_NAME = new RegExp(`^(?:${SECRET_NAMES})[A-Za-z0-9_.-]*`, 'i');
/** Continuations and beginnings of a name that make it something else than a secret. */
const NOT_SECRET_AFTER =
  /^[_.-]?(?:id|ids|name|url|uri|file|path|type|len|length|size|count|version|ref|arn|field|param|header|env|var|manager|provider|store|format|policy|expir|ttl|limit|usage|s?to)/i;
const NOT_SECRET_BEFORE =
  /(?:public|csrf|xsrf|max|min|num|total|count|next|prev|page|cancellation|cursor|input|output|prompt|completion)[_.\s-]?$/i;
const NOT_SECRET_VALUE =
  /^(?:https?|file|data|ssh|git|env|process|os|self|this|config|settings|secrets|vault|var|local|module|aws|arn|null|none|true|false|undefined|string|str|int)\b|\.(?:com|org|net|io|dev|json|ya?ml|py|js|ts|env|pem|txt|html?)\b|::|\/\/|^[\d.]+$|^[a-z]+(?:[A-Z][a-z]+)+\d?$|^v?\d+\.\d+/;

export const ASSIGNMENTS: readonly AssignmentRule[] = [
  {
    id: 'service-key',
    pattern: `(?:${SERVICE_NAMES})[A-Za-z0-9_.-]*(?: [A-Za-z0-9_.-]+)?${ASSIGN}(?:Bearer )?${VALUE}{10,}`,
    ignoreCase: true,
    locate: (match, before) => {
      const start = valueStart(match);
      const value = match.slice(start);
      // In the middle of a word it is another word: `cameraKit`, `sumOfAll`.
      if ((/[A-Za-z]$/.test(before) && /^[a-z]/.test(match)) || /^sumO/.test(match)) return null;
      const test = SERVICE_TESTS.find(([name]) => name.test(match))?.[1];
      return test?.test(value) === true && !isStandInRun(value) && entropy(value) >= 2 ? [start, match.length] : null;
    },
  },
  {
    id: 'generic-secret',
    pattern: `(?:${SECRET_NAMES})[A-Za-z0-9_.-]*${ASSIGN}${VALUE}{10,}`,
    ignoreCase: true,
    locate: (match, before) => locateGeneric(match, before),
  },
  {
    id: 'password',
    pattern: `(?:passw(?:or)?d|passphrase)["']{0,1}[ \\t]{0,3}(?::|=|is)[ \\t]{1,3}["']{0,1}[^\\s"'<>{}()\\[\\]$,;]{8,}`,
    ignoreCase: true,
    locate: (match, before) => {
      const start = /^pass[a-z]*["']?[ \t]*(?::|=|is)[ \t]+["']?/i.exec(match)?.[0].length ?? match.length;
      const value = match.slice(start, Math.max(start, trailingFrom(match, '.!?')));
      const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length;
      if (value.length < 8 || value.length > 64 || kinds < 3 || !/\d/.test(value) || isStandIn(value) || NOT_SECRET_VALUE.test(value))
        return null;
      return NOT_SECRET_BEFORE.test(before) ? null : [start, start + value.length];
    },
  },
  {
    id: 'xml-password',
    pattern: '<add key="[A-Za-z0-9_.:-]{0,60}password" {0,4}value="[^"\\n]{8,200}"',
    ignoreCase: true,
    locate: (match) => {
      const start = match.lastIndexOf('value="') + 7;
      const value = match.slice(start, -1);
      return isStandInRun(value) || /^[%$].*[%}]$|^\W*$/.test(value) ? null : [start, match.length - 1];
    },
  },
  {
    id: 'freemius-secret',
    pattern: '["\']secret_key["\'] {0,4}=> {0,4}["\']sk_[^\\s"\']{29}["\']',
    ignoreCase: false,
    locate: (match) => [match.indexOf('sk_'), match.length - 1],
  },
  {
    id: 'authorization-header',
    pattern: `\\b(?:authorization|x-api-key|private-token|x-auth-token|api-key|api-token)["']?[ \\t]{0,4}[:=][ \\t]{0,4}["']?(?:(?:basic|bearer|token|apikey|api-token)[ \\t]+)?${VALUE}{8,}`,
    ignoreCase: true,
    locate: (match) => {
      const start = /^[a-z-]+["']?[ \t]*[:=][ \t]*["']?(?:(?:basic|bearer|token|apikey|api-token)[ \t]+)?/i.exec(match)?.[0].length ?? 0;
      const value = match.slice(start);
      if (/^(?:basic|bearer|token|apikey)$/i.test(value) || isStandIn(value) || value.length < 8) return null;
      return (entropy(value) >= 3 && /\d/.test(value)) || /basic[ \t]+[A-Za-z0-9+/]{8,}={0,2}$/i.test(match) ? [start, match.length] : null;
    },
  },
  {
    id: 'authorization-header',
    pattern: `(?:-H|--header)[ =]{0,2}["'](?:x-)?[a-z-]{0,20}(?:token|secret|api-?key)[ \\t]{0,4}:[ \\t]{0,4}${VALUE}{8,}`,
    ignoreCase: true,
    locate: (match) => {
      const start = valueStart(match);
      const value = match.slice(start);
      return !isStandIn(value) && entropy(value) >= 2.8 && /\d/.test(value) ? [start, match.length] : null;
    },
  },
  {
    id: 'command-line-password',
    pattern: "(?:-u|--user)[ =]{1,2}[\"']?[^\\s:\"'`<>{}()]{0,60}:'?[^\\s\"'`<>{}\\[\\]()]{0,100}",
    ignoreCase: false,
    locate: (match) => {
      const pair = match.slice(match.search(/[^\s=]*$/)).replace(/^["']/, '');
      const at = match.length - pair.length;
      const [user = '', password = ''] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1).replace(/^'/, '')];
      const secret = password === '' ? user : password;
      if (password === '' && !(user.length >= 8 && /\d/.test(user) && /\W/.test(user))) return null;
      if (secret.length < 4 || isStandIn(pair) || /^[$%*:]|^\d+$|^(?:pass(?:word|wd)?|token|secret|test|api_?key|pwd|key)$/i.test(secret))
        return null;
      return [at, match.length];
    },
  },
  {
    id: 'url-password',
    pattern: '://[^\\s:@/"\'<>]{0,80}:[^\\s@/"\'<>]{3,120}@[A-Za-z0-9_.\\[-]{2,100}',
    ignoreCase: false,
    locate: (match) => {
      const pair = match.slice(3, match.lastIndexOf('@'));
      const [user = '', password = ''] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)];
      const ordinary =
        /^(?:\$|%|\*|\[)|^(?:pass(?:word|wd|phrase)?|pwd?|secret|token|user(?:name)?|postgres|root|admin|guest|test|api_?key|key|mysql|redis|p@ss)$/i;
      if (ordinary.test(password) || user === password || isStandIn(pair) || /[{}<>\\]/.test(pair)) return null;
      return [3 + user.length + 1, 3 + pair.length];
    },
  },
  {
    id: 'private-key',
    pattern: '-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----[\\s\\S]{48,}-----END[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----',
    ignoreCase: false,
    locate: (match) => [0, match.length],
  },
  {
    id: 'private-key',
    pattern:
      '-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----(?:\\\\n|\\s){1,4}(?:[A-Za-z0-9+/=]{16,}(?:\\\\n|\\s){1,4})*[A-Za-z0-9+/=]{30,}',
    ignoreCase: false,
    locate: (match) => [0, match.length],
  },
  {
    id: 'kubernetes-secret',
    pattern: '\\bkind:[ \\t]{0,4}["\']?secret\\b[\\s\\S]{0,400}\\bdata:[\\s\\S]{0,300}',
    ignoreCase: true,
    locate: (match) => locateManifestValue(match, match.search(/\bdata:/i)),
  },
  {
    id: 'kubernetes-secret',
    pattern: '\\bdata:[ \\t]{0,4}\\n[\\s\\S]{0,400}\\bkind:[ \\t]{0,4}["\']?secret\\b',
    ignoreCase: true,
    locate: (match) => locateManifestValue(match, 0),
  },
];

/** Offset of the value at the end of an assignment. */
function valueStart(match: string): number {
  const start = trailingFrom(match, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.=+/~|-');
  return start + (/^[=|]*/.exec(match.slice(start))?.[0].length ?? 0);
}

/** Bits a unit that a random value of this alphabet and length has but for one in some hundred. */
function leastEntropy(value: string): number {
  if (value.length >= 16 && /^[0-9a-f-]+$/i.test(value)) return value.length >= 32 ? 3.1 : 2.7;
  return value.length >= 16 && value.length < 20 ? 3.1 : 3.4;
}

function locateGeneric(match: string, before: string): readonly [number, number] | null {
  const name = WHOLE_NAME.exec(match)?.[0] ?? '';
  const assigned = match.slice(name.length);
  const gap = /^["'\]`]*[ \t]*(?::[ \t]?)?(?:(?:&?str|string)[ \t]+)?(?:[=:>,|?]|<-|is )+[ \t]*@?["'`]*/i.exec(assigned)?.[0].length;
  if (gap === undefined || name.length > 60) return null;
  const start = name.length + gap;
  const value = match.slice(start);
  const rest = name.replace(SECRET_NAME, '');
  if (NOT_SECRET_AFTER.test(rest.replace(/^s/, '')) || NOT_SECRET_BEFORE.test(before)) return null;
  if (value.length < 10 || value.length > 200 || isStandIn(value) || NOT_SECRET_VALUE.test(value)) return null;
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value) || entropy(value) < leastEntropy(value)) return null;
  if (/=[^=]/.test(value)) return null;
  // Words joined by separators are names, not secrets.
  if (value.split(/[_.\-/|]/).every((part) => /^(?:[A-Za-z]{0,14}\d{0,3}|\d+)$/.test(part))) return null;
  return [start, match.length];
}

/** The first base64 value under the `data:` at `from`, in the same document. */
function locateManifestValue(match: string, from: number): readonly [number, number] | null {
  const data = match.slice(from).split(/^[ \t]*---/m, 1)[0] ?? '';
  const values = /^[ \t]+["']?[\w.-]+["']?:[ \t]*(?:[|>]-?\s*)?["']?([A-Za-z0-9+/]{8,}={0,3})["']?[ \t]*(?:#.*)?$/gm;
  for (const found of data.matchAll(values)) {
    const value = found[1] ?? '';
    const cut = found.index + found[0].length === data.length;
    if ((value.length % 4 !== 0 && !cut) || !/[a-z]/.test(value) || !/[A-Z0-9]/.test(value)) continue;
    const start = from + found.index + found[0].lastIndexOf(value);
    return [start, start + value.length];
  }
  return null;
}

function isStandInRun(value: string): boolean {
  return /(.)\1{5}/.test(value) || /example|placeholder|xxxx/i.test(value);
}
