// Loaded by `library.ts` where a contract has a schema: most installations have none, and every start would pay for it.
export { Ajv2020 } from 'ajv/dist/2020.js';
export { RE2JS } from 're2js';
