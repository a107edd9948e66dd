import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run } from './process.ts';

const ROOT = new URL('../../../', import.meta.url);
const INSTALL_TIMEOUT_MS = 300_000;

/** A program of the `peers/` folder: its own package and lock, outside the workspace, installed when something first needs it. */
export type Peer = { readonly directory: string; readonly missing: null } | { readonly directory: string; readonly missing: string };

/**
 * Makes sure that `peers/<name>` is installed as its lock says; install scripts do not run. Where it cannot be (no network, wrong
 * platform, `SALLYPORT_PEERS=off`), `missing` says why, so that a test can skip with a reason.
 */
export async function installPeer(name: string): Promise<Peer> {
  const directory = fileURLToPath(new URL(`peers/${name}`, ROOT));
  if (await exists(`${directory}/node_modules`)) return { directory, missing: null };
  if (process.env['SALLYPORT_PEERS'] === 'off') return { directory, missing: `peers/${name} is not installed and SALLYPORT_PEERS=off` };
  // Installed aside and moved into place, so that test files running at the same time never see half of it.
  const cache = fileURLToPath(new URL('.cache/peers/', ROOT));
  await mkdir(cache, { recursive: true });
  const aside = await mkdtemp(`${cache}${name}-`);
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) await cp(`${directory}/${file}`, `${aside}/${file}`);
    const { code, stderr } = await run('npm', ['ci', '--no-progress'], { cwd: aside, timeoutMs: INSTALL_TIMEOUT_MS });
    if (code !== 0) return { directory, missing: `npm ci of peers/${name} failed: ${stderr.trim().split('\n').at(-1) ?? ''}` };
    await rename(`${aside}/node_modules`, `${directory}/node_modules`).catch(async (error: unknown) => {
      // Another process was first; its copy is as good as ours.
      if (!(await exists(`${directory}/node_modules`))) throw error;
    });
    return { directory, missing: null };
  } catch (error) {
    return { directory, missing: `peers/${name} could not be installed: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
