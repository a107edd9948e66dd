// Runs a TypeScript program of this repository under Node 24: `node tools/with-node.mjs FILE [ARG ...]`.
import { ensureInstalled, runNode } from './runtime.mjs';

ensureInstalled({ dev: true });
process.exitCode = await runNode(process.argv.slice(2));
