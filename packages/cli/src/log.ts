import type { LogFields, Logger } from '@sallyport/core';

/** Log levels in order. */
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** One JSON object a line on stderr; results of commands go to stdout and never mix with it. */
export function createLogger(level: Level, write: (line: string) => void = (line) => process.stderr.write(line)): Logger {
  const least = LEVELS.indexOf(level);
  const log =
    (of: Level) =>
    (event: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(of) < least) return;
      write(`${JSON.stringify({ time: new Date().toISOString(), level: of, event, ...fields })}\n`);
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}

export function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text);
}
