import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { resolveSecret } from '@sallyport/control';
import { systemClock } from '@sallyport/core';
import { Egress } from '@sallyport/egress';
import { Exporters, receivers } from '@sallyport/export';
import { createLogger } from '../log.ts';
import { VERSION } from '../version.ts';
import type { ExporterReport, WorkerOptions } from './exporters.ts';

/** Milliseconds between two reports. */
const REPORT_INTERVAL = 1000;

/** The thread that exports: reading, writing in other formats and sending cost the thread that serves requests nothing. */
const { directory, settings, logLevel, egress: egressSettings } = workerData as WorkerOptions;
const logger = createLogger(logLevel);
const secrets = (reference: string): string => resolveSecret(reference).value;
const egress = new Egress({ settings: egressSettings, resolveSecret: secrets, logger });
egress.name('exporters', receivers(settings));
const exporters = new Exporters({
  directory,
  settings,
  secrets,
  egress,
  clock: systemClock,
  logger,
  random: { bytes: (length) => randomBytes(length) },
  version: VERSION,
});
exporters.start();
const report = (): void => {
  const message: ExporterReport = { active: exporters.active, exporters: exporters.status() };
  parentPort?.postMessage(message);
};
const timer = setInterval(report, REPORT_INTERVAL);
parentPort?.once('message', async () => {
  clearInterval(timer);
  await exporters[Symbol.asyncDispose]();
  await egress[Symbol.asyncDispose]();
  parentPort?.close();
});
