// Loaded by `library.ts` where a contract names languages: its tables take a quarter of a second of a processor.
export { eld } from 'eld/extrasmall';
