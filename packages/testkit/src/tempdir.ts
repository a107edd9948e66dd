import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that is gone, with all in it, when its scope ends. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  /** A path inside it. */
  file(...names: readonly string[]): string;
}

export async function temporaryDirectory(prefix: string = 'sallyport-'): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  return {
    path,
    file: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}
