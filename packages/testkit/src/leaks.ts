import { readdir, readlink } from 'node:fs/promises';

/** What a process holds open: counted before and after, a difference is a leak. */
export interface OpenFiles {
  readonly sockets: number;
  readonly pipes: number;
  readonly files: number;
}

/** Open descriptors of any process of ours, from /proc (Linux). Throws `ENOENT` where the process is gone. */
export async function openFiles(pid: number): Promise<OpenFiles> {
  const directory = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(directory)).map((name) => readlink(`${directory}/${name}`).catch(() => '')), // closed meanwhile
  );
  const sockets = targets.filter((target) => target.startsWith('socket:')).length;
  const pipes = targets.filter((target) => target.startsWith('pipe:')).length;
  return { sockets, pipes, files: targets.filter((target) => target.startsWith('/') && !target.startsWith('/dev/')).length };
}

/** What keeps this process's event loop alive, by kind (`TCPSocketWrap`, `Timeout`, ...). */
export function activeResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Waits until `condition` holds, looking every 10 ms. Throws with `what` after `timeoutMs`. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, timeoutMs: number = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`it did not come about in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
