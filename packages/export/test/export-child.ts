import { Bench } from './support.ts';

/** Exports the ledger of another process until it is killed: `export-child.ts <ledger directory> <settings of exporters, JSON>`. */
const [directory = '', settings = ''] = process.argv.slice(2);
const exporters = Bench.exportersOf(directory, ...JSON.parse(settings));
exporters.start();
