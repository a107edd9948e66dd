import { readFileSync } from 'node:fs';
import { scanPath } from '../../packages/scanner/src/index.ts';

/** Scans one file in a process of its own and prints what it took: CPU seconds of the scan and the peak of the process in MiB. */
const before = process.cpuUsage();
const report = await scanPath(process.argv[2] ?? '', { hash: false });
const { user, system } = process.cpuUsage(before);
process.stdout.write(
  JSON.stringify({
    cpu: (user + system) / 1e6,
    // Not `maxRSS`: that counts the parent's pages before the program was loaded.
    peak: Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1024,
    verdict: report.verdict,
    format: report.format,
    rules: [...new Set(report.findings.map(({ rule }) => rule))],
  }),
);
