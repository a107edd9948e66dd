/**
 * The engine process: `node main.ts --package URL --model FILE [--port N]`. Prints `engine listening on PORT` on stdout when it can
 * answer. Ends on SIGTERM, and when stdin closes, so that it never outlives whoever started it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import { anthropicError, anthropicRoutes } from './anthropic.ts';
import { EngineError, type EngineStats, Exchange } from './exchange.ts';
import { Llama } from './llama.ts';
import { ollamaError, ollamaRoutes } from './ollama.ts';
import { openaiError, openaiRoutes } from './openai.ts';

const { values } = parseArgs({
  options: { package: { type: 'string' }, model: { type: 'string' }, port: { type: 'string', default: '0' } },
});
if (values.package === undefined || values.model === undefined) throw new Error('--package and --model are needed');

const llama = await Llama.load(new URL(values.package), values.model);
const stats: EngineStats = { started: 0, finished: 0, aborted: 0, active: 0, lastAbortAt: null };
const routes = new Map([...openaiRoutes, ...anthropicRoutes, ...ollamaRoutes].map((route) => [`${route.method} ${route.path}`, route]));

const server = createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    process.stderr.write(`engine: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    response.destroy();
  });
});
server.listen(Number(values.port), '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.stdout.write(`engine listening on ${address.port}\n`);
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const exchange = new Exchange(request, response, llama, stats);
  if (path === '/stats') return exchange.sendJson(200, stats);
  if (path === '/health') return exchange.sendJson(200, { status: 'ok' });
  const route = routes.get(`${request.method} ${path}`);
  try {
    if (route === undefined) throw new EngineError(404, `no route ${request.method} ${path}`);
    await route.handle(exchange);
  } catch (error) {
    if (!(error instanceof EngineError) || response.headersSent) throw error;
    const word = path.startsWith('/api/') ? ollamaError : path.startsWith('/v1/messages') ? anthropicError : openaiError;
    exchange.sendJson(error.status, word(error));
  }
}

let stopping = false;
function stop(): void {
  if (stopping) return;
  stopping = true;
  server.close();
  server.closeAllConnections();
  llama.dispose().finally(() => process.exit(0));
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.stdin.on('end', stop).on('error', stop).resume();
