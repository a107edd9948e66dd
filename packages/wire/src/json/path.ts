/** Where a value is inside a JSON document: member names and element indexes, from the top. */
export type JsonPath = readonly (string | number)[];

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$-]{0,63}$/;
const LONGEST_NAME = 64;
const LONGEST_PATH = 256;

/**
 * `['messages', 2, 'content']` as `messages[2].content`. A name that is no plain identifier is quoted, and names and
 * paths are cut at a fixed length: they are the client's words and come back in error messages.
 */
export function formatPath(path: JsonPath): string {
  let formatted = '';
  for (const step of path) {
    if (typeof step === 'number') formatted += `[${step}]`;
    else if (IDENTIFIER.test(step)) formatted += formatted === '' ? step : `.${step}`;
    else formatted += `[${JSON.stringify(step.length > LONGEST_NAME ? `${step.slice(0, LONGEST_NAME)}…` : step)}]`;
    if (formatted.length > LONGEST_PATH) return `${formatted.slice(0, LONGEST_PATH)}…`;
  }
  return formatted;
}
