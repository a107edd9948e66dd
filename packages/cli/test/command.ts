import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exit, Launched, run } from '@sallyport/testkit';

/** What users run, the bundle, where `npm test` has built it; else the sources, which take four times as long to start. */
export const MAIN: string = process.env['SALLYPORT_TEST_MAIN'] ?? fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Compiled code is kept between starts, as `npx sallyport` does. */
const COMPILED = process.env['NODE_COMPILE_CACHE'] === undefined ? {} : { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };

/** The command as a user runs it, in a home of its own. Nothing of this machine's environment that could change the outcome is passed on. */
export class Sallyport {
  readonly #home: string;

  constructor(directory: string) {
    this.#home = directory;
  }

  get env(): Record<string, string | undefined> {
    return {
      PATH: process.env['PATH'],
      HOME: this.#home,
      SALLYPORT_HOME: join(this.#home, 'sp'),
      SALLYPORT_LOG_LEVEL: 'info',
      ...COMPILED,
    };
  }

  /** The program's file, for a process with an environment of its own. */
  readonly main: string = MAIN;

  run(args: readonly string[], input?: string): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
    return run(process.execPath, [MAIN, ...args], { cwd: this.#home, env: this.env, ...(input === undefined ? {} : { input }) });
  }

  start(args: readonly string[]): Promise<Launched> {
    return Launched.launch(process.execPath, [MAIN, ...args], { cwd: this.#home, env: this.env });
  }

  path(name: string): string {
    return join(this.#home, name);
  }
}
