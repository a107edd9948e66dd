import assert from 'node:assert/strict';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { DEMO_UPSTREAM, type DiscoveredUpstream, defaultConfig, discoverUpstreams, type LocalServer } from '@sallyport/control';

const SERVERS: readonly LocalServer[] = ['ollama', 'vllm', 'llamacpp', 'tgi', 'lm-studio'];

interface Peer extends AsyncDisposable {
  readonly port: number;
}

async function listen(server: Server): Promise<Peer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const http = (handler: RequestListener): Promise<Peer> => listen(createHttpServer(handler));
const tcp = (handler: (socket: Socket) => void): Promise<Peer> => listen(createTcpServer(handler));

/** A server with a JSON answer for some paths and 404 for the rest. */
const json = (replies: Readonly<Record<string, unknown>>): Promise<Peer> =>
  http((request, response) => {
    const path = request.url ?? '';
    if (!Object.hasOwn(replies, path)) response.writeHead(404).end('{}');
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(replies[path]));
  });

/** A port with nothing behind it. */
async function closedPort(): Promise<number> {
  await using peer = await tcp(() => undefined);
  return peer.port;
}

/** Looks at the given ports, all others being closed. */
async function discover(given: Partial<Record<LocalServer, number>>, timeout = 5_000): Promise<readonly DiscoveredUpstream[]> {
  const closed = await closedPort();
  const ports = { ollama: closed, vllm: closed, llamacpp: closed, tgi: closed, 'lm-studio': closed, ...given };
  return await discoverUpstreams({ ports, timeout });
}

const names = (found: readonly DiscoveredUpstream[]): string[][] =>
  found.map((upstream) => [upstream.name, ...upstream.models.map(({ name }) => name)]);

const OLLAMA = {
  '/api/version': { version: '0.13.0' },
  '/api/tags': { models: [{ name: 'llama3.2:latest', model: 'llama3.2:latest' }, { name: 'hf.co/org/model:Q4_K_M' }] },
};
const list = (owner: string, ...ids: readonly string[]): unknown => ({
  object: 'list',
  data: ids.map((id) => ({ id, object: 'model', owned_by: owner })),
});

describe('servers that are what they seem', () => {
  test('each kind is found with its models', async () => {
    await using ollama = await json(OLLAMA);
    await using vllm = await json({ '/v1/models': list('vllm', 'meta-llama/Llama-3.1-8B') });
    await using llamacpp = await json({ '/v1/models': list('llamacpp', '/models/qwen2.5-0.5b.gguf') });
    await using tgi = await json({ '/info': { model_id: 'mistralai/Mistral-7B', max_total_tokens: 4096 } });
    await using studio = await json({ '/v1/models': list('organization_owner', 'phi-4', 'text-embedding-nomic') });
    const found = await discoverUpstreams({
      ports: { ollama: ollama.port, vllm: vllm.port, llamacpp: llamacpp.port, tgi: tgi.port, 'lm-studio': studio.port },
      timeout: 5_000,
    });
    assert.deepEqual(
      found.map(({ kind, url }) => [kind, url]),
      [
        ['ollama', `http://127.0.0.1:${ollama.port}`],
        ['vllm', `http://127.0.0.1:${vllm.port}`],
        ['llamacpp', `http://127.0.0.1:${llamacpp.port}`],
        ['tgi', `http://127.0.0.1:${tgi.port}`],
        ['openai', `http://127.0.0.1:${studio.port}`],
      ],
    );
    assert.deepEqual(names(found), [
      ['ollama', 'llama3.2:latest', 'hf.co/org/model:Q4_K_M'],
      ['vllm', 'meta-llama/Llama-3.1-8B'],
      ['llamacpp', 'qwen2.5-0.5b.gguf'],
      ['tgi', 'mistralai/Mistral-7B'],
      ['lm-studio', 'phi-4', 'text-embedding-nomic'],
    ]);
    assert.equal(found[2]?.models[0]?.target, '/models/qwen2.5-0.5b.gguf');
    const config = defaultConfig(found);
    assert.equal(config.models.length, 7);
    assert.deepEqual(
      config.models.find(({ name }) => name.startsWith('qwen')),
      {
        name: 'qwen2.5-0.5b.gguf',
        upstream: 'llamacpp',
        target: '/models/qwen2.5-0.5b.gguf',
        fallback: [],
        replicas: [],
        fallbackAnswer: null,
      },
    );
  });

  test('an older llama.cpp is told by its properties', async () => {
    await using server = await json({ '/v1/models': list('me', 'a.gguf'), '/props': { default_generation_settings: { n_ctx: 4096 } } });
    assert.deepEqual(names(await discover({ llamacpp: server.port })), [['llamacpp', 'a.gguf']]);
  });

  test('an Ollama without models is found, and the demo beside it', async () => {
    await using server = await json({ ...OLLAMA, '/api/tags': { models: [] } });
    assert.deepEqual(names(await discover({ ollama: server.port })), [['ollama'], ['demo', 'demo']]);
  });
});

describe('nothing there', () => {
  test('gives the demo, which makes a whole configuration', async () => {
    const found = await discover({});
    assert.deepEqual(found, [DEMO_UPSTREAM]);
    const config = defaultConfig(found);
    assert.deepEqual(
      config.upstreams.map(({ kind, url }) => [kind, url]),
      [['demo', '']],
    );
    assert.deepEqual(config.models, [{ name: 'demo', upstream: 'demo', target: 'demo', fallback: [], replicas: [], fallbackAnswer: null }]);
  });
});

describe('other programs on those ports are not taken for servers', () => {
  const strangers: readonly (readonly [title: string, replies: Readonly<Record<string, unknown>>])[] = [
    ['a web application that answers everything', { '/api/version': {}, '/api/tags': {}, '/v1/models': {}, '/info': {}, '/props': {} }],
    ['answers that are no objects', { '/api/version': 'x', '/api/tags': [1], '/v1/models': null, '/info': 3, '/props': true }],
    ['half an Ollama', { '/api/tags': { models: [{ name: 'a' }] } }],
    ['model lists of somebody else', { '/v1/models': { data: [{ id: 'a', owned_by: 'other' }] } }],
    ['TGI without its numbers', { '/info': { model_id: 'a' } }],
  ];
  for (const [title, replies] of strangers) {
    test(title, async () => {
      await using server = await json(replies);
      const { port } = server;
      assert.deepEqual(await discoverUpstreams({ ports: { ollama: port, vllm: port, llamacpp: port, tgi: port, 'lm-studio': port } }), [
        DEMO_UPSTREAM,
      ]);
    });
  }
});

describe('hostile servers', () => {
  const handlers: readonly (readonly [title: string, make: () => Promise<Peer>])[] = [
    ['accepts and says nothing', () => tcp(() => undefined)],
    ['ends at once', () => tcp((socket) => socket.destroy())],
    ['speaks no HTTP', () => tcp((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'))],
    ['sends headers and then nothing', () => http((_request, response) => response.writeHead(200).flushHeaders())],
    [
      'sends a byte at a time',
      () =>
        http((_request, response) => {
          const timer = setInterval(() => response.write(' '), 5);
          response.on('close', () => clearInterval(timer));
        }),
    ],
    [
      'never stops sending',
      () =>
        http((_request, response) => {
          const chunk = Buffer.alloc(65_536, 0x20);
          const pump = (): void => {
            while (response.write(chunk));
          };
          response.on('drain', pump);
          response.on('error', () => undefined);
          pump();
        }),
    ],
    [
      'announces more than it sends',
      () =>
        http((_request, response) => {
          response.writeHead(200, { 'content-length': '1000' });
          response.write('{');
          response.destroy();
        }),
    ],
    ['sends JSON of 2 MiB', () => http((_request, response) => response.end(JSON.stringify({ version: 'x'.repeat(2_097_152) })))],
    ['sends brackets', () => http((_request, response) => response.end('['.repeat(1_000_000)))],
    ['sends bytes that are no text', () => http((_request, response) => response.end(Buffer.from([0xff, 0x00, 0xfe])))],
    ['redirects', () => http((_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())],
    ['answers with an error', () => http((_request, response) => response.writeHead(500).end(JSON.stringify(OLLAMA['/api/version'])))],
    [
      'switches protocols',
      () => tcp((socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')),
    ],
    ['sends huge headers', () => tcp((socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n{}`))],
    [
      'sends interim answers without end',
      () =>
        tcp((socket) => {
          const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 5);
          socket.on('close', () => clearInterval(timer));
        }),
    ],
  ];
  for (const [title, make] of handlers) {
    test(`one that ${title} is passed over`, async () => {
      await using server = await make();
      const { port } = server;
      assert.deepEqual(await discoverUpstreams({ ports: { ollama: port, vllm: port, llamacpp: port, tgi: port, 'lm-studio': port } }), [
        DEMO_UPSTREAM,
      ]);
    });
  }

  test('one that hangs does not keep the others from being found', async () => {
    await using hanging = await tcp(() => undefined);
    await using ollama = await json(OLLAMA);
    assert.deepEqual(names(await discover({ vllm: hanging.port, ollama: ollama.port }, 1_000)), [
      ['ollama', 'llama3.2:latest', 'hf.co/org/model:Q4_K_M'],
    ]);
  });

  test('names that could do harm are dropped, repeated ones kept once, long lists cut', async () => {
    const bad = [
      '',
      ' ',
      'a b',
      '\u001b[31mred',
      '../../etc/passwd\u0000',
      '__proto__',
      '*',
      'x'.repeat(300),
      '<script>',
      'ä',
      '-rf',
      'a\nb',
      'good',
      'good',
    ];
    await using server = await json({
      ...OLLAMA,
      '/api/tags': { models: [...bad.map((name) => ({ name })), { name: 7 }, null, 'text', {}] },
    });
    assert.deepEqual(names(await discover({ ollama: server.port })), [['ollama', 'good']]);
    await using many = await json({ '/v1/models': list('vllm', ...Array.from({ length: 2_000 }, (_, index) => `m${index}`)) });
    assert.equal((await discover({ vllm: many.port }))[0]?.models.length, 200);
  });
});

test('every probe has its port', async () => {
  for (const server of SERVERS) {
    await using peer = await json({
      ...OLLAMA,
      '/info': { model_id: 'm', max_total_tokens: 1 },
      '/v1/models': list(server === 'vllm' ? 'vllm' : 'llamacpp', 'm'),
    });
    const found = await discover({ [server]: peer.port });
    assert.deepEqual([found.length, found[0]?.name], [1, server]);
  }
});
