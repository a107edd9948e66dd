import { parentPort } from 'node:worker_threads';
import type { Segment } from '../segment.ts';
import { scanSegment } from './stretch.ts';

/** A thread that scans segments for `Scans`. What it cannot read, the walk will look at and judge. */
parentPort?.on('message', (segment: Segment) => {
  scanSegment(segment).then(
    (stretch) =>
      parentPort?.postMessage(stretch, stretch === null ? [] : [stretch.leaves.buffer, stretch.roots.buffer, stretch.stored.buffer]),
    () => parentPort?.postMessage(null),
  );
});
