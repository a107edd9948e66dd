import { writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { EngineStats } from './engine/exchange.ts';
import { installPeer } from './peers.ts';
import { Launched } from './process.ts';
import { temporaryDirectory } from './tempdir.ts';
import { tinyModel } from './tinymodel.ts';

export type { EngineStats } from './engine/exchange.ts';
export { MODELS as ENGINE_MODELS } from './engine/exchange.ts';

/** A running inference server: llama.cpp with a tiny random model behind OpenAI, Anthropic and Ollama framing. */
export interface Engine extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, no trailing slash. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  stats(): Promise<EngineStats>;
}

const START_TIMEOUT_MS = 60_000;

/** Why the engine cannot run here, or null: pass it to `skip` of a test. Installs it on first use. */
export async function engineMissing(): Promise<string | null> {
  const { missing } = await installPeer('llama');
  return missing === null ? null : `no inference engine: ${missing}`;
}

/** Starts an engine of its own. The same `seed` gives the same weights, and so the same replies. Throws where it cannot run. */
export async function startEngine(seed: number = 1): Promise<Engine> {
  const { directory, missing } = await installPeer('llama');
  if (missing !== null) throw new Error(missing);
  await using stack = new AsyncDisposableStack();
  const files = stack.use(await temporaryDirectory('sallyport-engine-'));
  const model = files.file('tiny.gguf');
  await writeFile(model, tinyModel(seed));
  const main = fileURLToPath(new URL('./engine/main.ts', import.meta.url));
  const entry = pathToFileURL(`${directory}/index.mjs`).href;
  const child = stack.use(await Launched.launch(process.execPath, [main, '--package', entry, '--model', model]));
  const [, port] = await child.waitFor(/engine listening on (\d+)\n/, START_TIMEOUT_MS);
  const url = `http://127.0.0.1:${port}`;
  const owned = stack.move();
  return {
    url,
    port: Number(port),
    pid: child.pid,
    stats: async () => {
      const response = await fetch(`${url}/stats`);
      const stats: EngineStats = JSON.parse(await response.text());
      return stats;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
