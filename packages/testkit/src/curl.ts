import { run } from './process.ts';

export interface CurlReply {
  readonly status: number;
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** curl's exit status (`man curl`, EXIT CODES); 18 is a transfer that was cut off. */
  readonly exitCode: number | null;
}

const TIMEOUT_MS = 30_000;

/** Runs the `curl` binary with no configuration of the user's and no proxy. Throws where no response came at all. */
export async function curl(args: readonly string[]): Promise<CurlReply> {
  const fixed = ['--disable', '--silent', '--show-error', '--noproxy', '*', '--dump-header', '-', '--header', 'expect:'];
  const { code, stdout, stderr } = await run('curl', [...fixed, ...args], { timeoutMs: TIMEOUT_MS });
  const headEnd = stdout.indexOf('\r\n\r\n');
  if (headEnd < 0) throw new Error(`curl got no response: ${stderr.trim()}`);
  const [statusLine = '', ...lines] = stdout.slice(0, headEnd).split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(statusLine.split(' ')[1]), headers, body: stdout.slice(headEnd + 4), exitCode: code };
}

/** The `data` of each server-sent event in `text` (events separated by an empty line, `\n` or `\r\n`). */
export function eventData(text: string): string[] {
  return text
    .split(/\r?\n\r?\n/)
    .map((event) =>
      event
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n'),
    )
    .filter((data) => data.length > 0);
}
