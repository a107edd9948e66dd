import { parentPort, workerData } from 'node:worker_threads';
import type { Assignment, Message } from './parallel.ts';
import type { FileReport } from './report.ts';
import { scanPath } from './scan.ts';

/** One of the threads of `scanPaths`: takes paths off the shared list until there are none. */
const { paths, limits, progress, shared, slot, beat } = workerData as Assignment;
const state = new Int32Array(shared);
/** Smaller steps are told with the report. */
const STEP = 2 ** 20;
/** Milliseconds for which reports are held back: a message for each of thousands of small files would cost as much as scanning them. */
const HELD = 50;

let reports: [number, FileReport][] = [];
let bytes = 0;
let told = performance.now();

function tell(message: Message): void {
  parentPort?.postMessage(message);
}

function flush(): void {
  tell({ progress: bytes, reports });
  reports = [];
  bytes = 0;
  told = performance.now();
}

for (;;) {
  const index = Atomics.add(state, 0, 1);
  const path = paths[index];
  if (path === undefined) break;
  Atomics.store(state, slot, index);
  let last = 0;
  const report = await scanPath(path, {
    limits,
    onProgress: (offset) => {
      Atomics.add(state, beat, 1);
      if (!progress || offset - last < STEP) return;
      tell({ progress: offset - last, reports: [] });
      last = offset;
    },
  });
  reports.push([index, report]);
  bytes += report.size - last;
  if (performance.now() - told > HELD) flush();
}
flush();
