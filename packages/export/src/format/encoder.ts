import type { ExportFormat } from '@sallyport/core';
import type { SoundEvent } from '../event.ts';
import { cefLine } from './cef.ts';
import { ecsEvent } from './ecs.ts';
import { ocsfEvent } from './ocsf.ts';

/** Where and by what an event is written. */
export interface Origin {
  readonly host: string;
  /** Sallyport's version. */
  readonly version: string;
}

/** Writes events as text, one line each. */
export function encoder(format: ExportFormat, { host, version }: Origin): (event: SoundEvent) => string {
  switch (format) {
    case 'json':
      return ({ line }) => line;
    case 'ocsf':
      return (event) => JSON.stringify(ocsfEvent(event, version));
    case 'ecs':
      return (event) => JSON.stringify(ecsEvent(event, version, host));
    case 'cef':
      return (event) => cefLine(event, version);
  }
}

/** The same text in ASCII: JSON may escape any character. For carriers that are not sure to pass others on. */
export function asciiJson(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
