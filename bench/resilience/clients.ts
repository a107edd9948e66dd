import { Pool } from 'undici';

/** What some clients ask a gateway for. */
export interface Asking {
  readonly port: number;
  readonly model: string;
  readonly key: string;
  readonly clients: number;
}

export interface Answers {
  readonly perSecond: number;
  /** Milliseconds, of answers with status 200; `waits` is what of it was spent in line at the gateway. */
  readonly latencies: number[];
  readonly waits: number[];
}

/** Clients that ask one thing after another for `seconds`. */
export async function load(asking: Asking, seconds: number): Promise<Answers> {
  const latencies: number[] = [];
  const waits: number[] = [];
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), seconds * 1000);
  const begun = performance.now();
  await background(asking, stop.signal, (latency, waited) => {
    latencies.push(latency);
    waits.push(waited);
  });
  clearTimeout(timer);
  return { perSecond: (latencies.length * 1000) / (performance.now() - begun), latencies, waits };
}

/** The same until `signal`. */
export async function background(
  { port, model, key, clients }: Asking,
  signal: AbortSignal,
  onAnswer: (latency: number, waited: number) => void = () => undefined,
): Promise<void> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: clients, pipelining: 1 });
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'x'.repeat(500) }], max_tokens: 50 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const client = async (): Promise<void> => {
    while (!signal.aborted) {
      const begun = performance.now();
      try {
        const answer = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body, signal });
        await answer.body.dump();
        if (answer.statusCode === 200) onAnswer(performance.now() - begun, Number(answer.headers['x-sallyport-queue-wait-ms'] ?? 0));
        // A client that is refused at once does not ask again at once.
        else await new Promise((resolve) => setTimeout(resolve, 20));
      } catch {
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await pool.destroy();
}
