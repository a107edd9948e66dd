import { Bench } from './support.ts';

/** Exports the ledger of another process until it is killed: `export-child.ts <ledger directory> <url>`. */
const [directory = '', url = ''] = process.argv.slice(2);
const exporters = Bench.exportersOf(directory, { kind: 'webhook', token: 'env:SECRET', url });
exporters.start();
