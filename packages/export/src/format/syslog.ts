import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from './severity.ts';

/** Facility 13: log audit (RFC 5424 table 1). */
const AUDIT = 13;
/** IANA's number for documentation (RFC 5612): there is no registered enterprise behind Sallyport yet. */
const SD_ID = 'sallyport@32473';

/** One message of RFC 5424. `text` becomes MSG, with the byte order mark that the RFC asks for where it is not ASCII. */
export function syslogMessage(event: SoundEvent, text: string, host: string): string {
  const { entry, log } = event;
  const priority = AUDIT * 8 + LEVELS[severityOf(entry)].syslog;
  const head = `<${priority}>1 ${entry.time} ${header(host, 255)} sallyport ${header(log, 128)} ${header(entry.action, 32)}`;
  const data = `[${SD_ID} id="${entry.hash}" log="${parameter(log)}" seq="${entry.seq}" outcome="${entry.outcome}"]`;
  return `${head} ${data} ${ASCII.test(text) ? '' : '\ufeff'}${text}`;
}

const ASCII = /^[\x20-\x7e]*$/;

/** PRINTUSASCII of bounded length, or the nil value. */
function header(value: string, most: number): string {
  return value.replace(/[^\x21-\x7e]/g, '_').slice(0, most) || '-';
}

/** PARAM-VALUE: `"`, `\` and `]` are escaped. */
function parameter(value: string): string {
  return value.replace(/["\\\]]/g, '\\$&');
}

/** Octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3): the length in bytes, a space, the message. */
export function octetCounted(message: string): string {
  return `${Buffer.byteLength(message)} ${message}`;
}
