import type { SegmentFile, SegmentStore } from '../src/index.ts';
import { diskStore } from '../src/segment-store.ts';

/** A disk that refuses when told to. */
export class FailingStore implements SegmentStore {
  failWrite: string | null = null;
  failSync: string | null = null;
  failOpen: string | null = null;
  /** Bytes of the next write that reach the disk before it fails. */
  partial = 0;
  readonly #disk: SegmentStore = diskStore('unsafe-none');

  async open(path: string, create: boolean): Promise<SegmentFile> {
    refuseWith(this.failOpen);
    const file = await this.#disk.open(path, create);
    return {
      write: async (bytes, length, position) => {
        if (this.failWrite !== null) await file.write(bytes, Math.min(length, this.partial), position);
        refuseWith(this.failWrite);
        await file.write(bytes, length, position);
      },
      sync: async () => {
        refuseWith(this.failSync);
        await file.sync();
      },
      truncate: (length) => file.truncate(length),
      length: () => file.length(),
      close: () => file.close(),
    };
  }
}

function refuseWith(code: string | null): void {
  if (code !== null) throw Object.assign(new Error(code), { code, syscall: 'write' });
}
