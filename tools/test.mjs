// `npm test`: installs what the tests need, then types, lint, layers and every test. `--static` stops before the tests.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { COMPILE_CACHE, ensureInstalled, findNode, ROOT, runNode } from './runtime.mjs';
import { BUNDLE } from './stamp.mjs';

/** Real peers the tests talk to, by the program that shows they are there. A peer that is missing skips its tests with a message. */
const PEERS = [
  { program: '/usr/lib/postgresql', package: 'postgresql' },
  { program: '/usr/bin/redis-server', package: 'redis-server' },
  { program: '/usr/bin/openssl', package: 'openssl' },
  { program: '/usr/bin/curl', package: 'curl' },
  { program: '/usr/bin/promtool', package: 'prometheus' },
  { program: '/usr/bin/amtool', package: 'prometheus-alertmanager' },
  { program: '/usr/sbin/rsyslogd', package: 'rsyslog' },
  { program: '/var/lib/dpkg/info/rsyslog-gnutls.list', package: 'rsyslog-gnutls' },
  { program: '/var/lib/dpkg/info/rsyslog-relp.list', package: 'rsyslog-relp' },
  // Writers of the files that the scanner's fuzzer breaks.
  { program: '/usr/lib/python3/dist-packages/h5py', package: 'python3-h5py-serial' },
  { program: '/usr/lib/python3/dist-packages/joblib', package: 'python3-joblib' },
  { program: '/usr/lib/python3/dist-packages/onnx', package: 'python3-onnx' },
  { program: '/usr/bin/7zz', package: '7zip' },
  { program: '/usr/bin/lz4', package: 'lz4' },
  { program: '/usr/bin/zstd', package: 'zstd' },
  { program: '/usr/bin/xz', package: 'xz-utils' },
];

function installPeers() {
  const missing = PEERS.filter((peer) => spawnSync('test', ['-e', peer.program]).status !== 0).map((peer) => peer.package);
  if (missing.length === 0) return;
  const root = process.getuid?.() === 0 && spawnSync('sh', ['-c', 'command -v apt-get']).status === 0;
  if (!root) {
    process.stderr.write(`Not installed, their tests will be skipped: ${missing.join(', ')}\n`);
    return;
  }
  process.stderr.write(`Installing ${missing.join(', ')} ...\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore', env });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { stdio: ['ignore', 'ignore', 'inherit'], env });
}

function step(name, command, args) {
  process.stderr.write(`${name} ...\n`);
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  return status === 0;
}

ensureInstalled({ dev: true });
const bin = (name) => join(ROOT, 'node_modules', '.bin', name);
const sound = [
  step('Types', bin('tsc'), ['-p', ROOT]),
  step('Lint and format', bin('biome'), ['ci', '--log-level=warn', '--colors=off', ROOT]),
  step('Layers', findNode(), [join(ROOT, 'tools', 'layers.ts')]),
].every(Boolean);

if (process.argv.includes('--static')) {
  process.exitCode = sound ? 0 : 1;
} else {
  installPeers();
  // The tests of the command run what users run.
  const built = (await runNode([join(ROOT, 'tools', 'build.mjs')])) === 0;
  const status = await runNode(
    [join(ROOT, 'tools', 'run-tests.ts'), ...(sound && built ? [] : ['--unsound']), ...process.argv.slice(2)],
    built ? { ...COMPILE_CACHE, SALLYPORT_TEST_MAIN: BUNDLE } : {},
  );
  process.exitCode = status === 0 && !(sound && built) ? 1 : status;
}
