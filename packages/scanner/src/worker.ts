import { parentPort, workerData } from 'node:worker_threads';
import type { Limits } from './limits.ts';
import { scanPath } from './scan.ts';

/** One of the threads of `scanPaths`: scans the paths it is sent, one at a time. */
const { limits } = workerData as { readonly limits: Partial<Limits> };

parentPort?.on('message', async (path: string) => {
  let last = 0;
  const report = await scanPath(path, {
    limits,
    onProgress: (bytes) => {
      parentPort?.postMessage({ progress: bytes - last });
      last = bytes;
    },
  });
  parentPort?.postMessage({ report });
});
