/** `npm run bench <suite> [options]`: measures on this machine, in one run, side by side. `npm run bench` lists the suites. */

interface Suite {
  readonly purpose: string;
  readonly load: () => Promise<{ readonly run: (args: string[]) => Promise<void> }>;
}

const SUITES: Readonly<Record<string, Suite>> = {
  limits: {
    purpose: 'what a decision of the limits costs, in memory and by Redis, and the memory of a bucket',
    load: () => import('./limits/suite.ts'),
  },
  gateway: {
    purpose: 'requests a second, latency, streams and start-up of the gateway beside other proxies',
    load: () => import('./gateway/suite.ts'),
  },
  ledger: {
    purpose: 'durable appends, verification and queries of the ledger; the gateway with auditing and without',
    load: () => import('./ledger/suite.ts'),
  },
  resilience: {
    purpose: 'what a server that is ill, and a tenant that floods, cost everybody else',
    load: () => import('./resilience/suite.ts'),
  },
  guard: {
    purpose: 'time and memory of the guard for ordinary and for hostile texts',
    load: () => import('./guard/suite.ts'),
  },
  scanner: {
    purpose: 'headers, digests, pickle instructions and many small files, beside openssl and picklescan; files made to cost time',
    load: () => import('./scanner/suite.ts'),
  },
};

// Ending through `exit` lets the supervisor kill what was started.
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

const [name = '', ...args] = process.argv.slice(2);
const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
if (suite === undefined) {
  const list = Object.entries(SUITES).map(([key, { purpose }]) => `  ${key.padEnd(10)} ${purpose}`);
  process.stderr.write(
    `usage: npm run bench <suite> -- [options]\n\n${list.join('\n')}\n\nnpm run bench <suite> -- --help lists its options.\n`,
  );
  process.exitCode = 2;
} else {
  const { run } = await suite.load();
  await run(args);
}
