import { parentPort, workerData } from 'node:worker_threads';
import type { Limits } from './limits.ts';
import { scanPath } from './scan.ts';

/** One of the threads of `scanPaths`: scans the paths it is sent, one at a time. */
const { limits, progress } = workerData as { readonly limits: Partial<Limits>; readonly progress: boolean };
/** Smaller steps are told with the report. */
const STEP = 2 ** 20;

parentPort?.on('message', async (path: string) => {
  let last = 0;
  const report = await scanPath(path, {
    limits,
    onProgress: (bytes) => {
      if (!progress || bytes - last < STEP) return;
      parentPort?.postMessage({ progress: bytes - last });
      last = bytes;
    },
  });
  parentPort?.postMessage({ report, progress: report.size - last });
});
