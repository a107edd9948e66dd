import { parentPort, workerData } from 'node:worker_threads';
import { type Asking, background } from './clients.ts';

/** A flood in a thread of its own: what it costs to make it must not count as the wait of others. Any message ends it. */
const stop = new AbortController();
parentPort?.once('message', () => stop.abort());
await background(workerData as Asking, stop.signal);
