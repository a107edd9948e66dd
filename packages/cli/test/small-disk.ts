import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '@sallyport/testkit';

/** A real file system that is soon full, or null where this process may not mount one. */
export async function smallDisk(context: TestContext): Promise<string | null> {
  const directory = await temporaryDirectory();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory.path], { stdio: 'ignore' });
  context.after(async () => {
    if (status === 0) spawnSync('umount', ['-l', directory.path], { stdio: 'ignore' });
    await directory[Symbol.asyncDispose]();
  });
  if (status !== 0) context.skip('this process may not mount a file system');
  return status === 0 ? directory.path : null;
}

/** Takes all the room there is; its file, to be removed. */
export function fill(disk: string): string {
  const ballast = join(disk, 'ballast');
  for (let size = 2 << 20; size >= 4096; size /= 2) {
    try {
      for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC');
    }
  }
  return ballast;
}
