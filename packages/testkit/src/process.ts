import { type ChildProcess, spawn } from 'node:child_process';

export interface LaunchOptions {
  readonly cwd?: string;
  /** Replaces the whole environment where given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Run as this user and group (needs root). */
  readonly uid?: number;
  readonly gid?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const OUTPUT_LIMIT = 1_000_000; // characters kept per stream
const PIPE_GRACE_MS = 500;
const live = new Set<Launched>();

// Whatever happens to the test run, nothing it started stays.
process.on('exit', () => {
  for (const child of live) child.signal('SIGKILL');
});

/** Process ids of launched children that have not ended; a test asserts that this is empty when it is done. */
export function liveChildren(): number[] {
  return [...live].map((child) => child.pid);
}

/** A child process under supervision: its output is kept, its end awaited, and it is stopped when its scope ends. */
export class Launched implements AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #exit: Exit | null = null;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
    live.add(this);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-OUTPUT_LIMIT);
      this.#notify();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-OUTPUT_LIMIT);
      this.#notify();
    });
    // A child that ends while we write to it is an exit like any other; `exited` tells.
    child.stdin?.on('error', () => {});
    this.exited = new Promise((resolve) => {
      const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#exit = { code, signal };
        this.#notify();
        resolve(this.#exit);
      };
      // `close` also waits for the output to be read; a grandchild that keeps the pipe open must not make us wait for ever.
      child.on('exit', (code, signal) => {
        live.delete(this);
        const timer = setTimeout(finish, PIPE_GRACE_MS, code, signal);
        child.on('close', () => {
          clearTimeout(timer);
          finish(code, signal);
        });
      });
    });
  }

  /** Starts a program. Rejects where it cannot be started at all (`ENOENT`, `EACCES`). Standard input is an open pipe. */
  static async launch(command: string, args: readonly string[], options: LaunchOptions = {}): Promise<Launched> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    const { pid } = child;
    if (pid === undefined) {
      throw await new Promise<Error>((resolve) => child.once('error', resolve));
    }
    return new Launched(child, pid);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get exit(): Exit | null {
    return this.#exit;
  }

  /** Waits until `pattern` matches what was printed so far (either stream). Rejects when the child ends first or after `timeoutMs`. */
  async waitFor(pattern: RegExp, timeoutMs: number = 10_000): Promise<RegExpMatchArray> {
    const deadline = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => deadline.reject(new Error(this.#report(`printed nothing like ${pattern} in ${timeoutMs} ms`))),
      timeoutMs,
    );
    try {
      for (;;) {
        const match = this.#stdout.match(pattern) ?? this.#stderr.match(pattern);
        if (match !== null) return match;
        if (this.#exit !== null) throw new Error(this.#report(`ended before printing ${pattern}`));
        const changed = Promise.withResolvers<void>();
        this.#watchers.add(changed.resolve);
        await Promise.race([changed.promise, deadline.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  signal(name: NodeJS.Signals): void {
    if (this.#exit === null) this.#child.kill(name);
  }

  /** Asks the child to end, and kills it if it has not after `graceMs`. */
  async stop(name: NodeJS.Signals = 'SIGTERM', graceMs: number = 5_000): Promise<Exit> {
    this.signal(name);
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #notify(): void {
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  #report(what: string): string {
    const tail = (text: string): string => text.slice(-2_000).trim();
    return `${this.#child.spawnfile} (${this.pid}) ${what}\nstdout: ${tail(this.#stdout)}\nstderr: ${tail(this.#stderr)}`;
  }
}

/** Runs a program to its end and returns what it printed. Killed after `timeoutMs`. */
export async function run(
  command: string,
  args: readonly string[],
  options: LaunchOptions & { readonly timeoutMs?: number; readonly input?: string } = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const { timeoutMs = 60_000, input, ...launch } = options;
  const child = await Launched.launch(command, args, launch);
  const timer = setTimeout(() => child.signal('SIGKILL'), timeoutMs);
  try {
    if (input !== undefined) child.write(input);
    child.endInput();
    const exit = await child.exited;
    return { ...exit, stdout: child.stdout, stderr: child.stderr };
  } finally {
    clearTimeout(timer);
  }
}
