import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExporterSettings } from '@sallyport/core';
import {
  elasticsearch,
  gelfHttp,
  otlp,
  type Receiver,
  StandIn,
  s3,
  splunk,
  type Trouble,
  verifyS3,
  verifyWebhook,
  webhook,
} from './stand-in.ts';
import { assertDelivered, Bench, exporterSettings, until } from './support.ts';

interface Case {
  readonly name: string;
  readonly receiver: () => Receiver;
  readonly settings: Partial<ExporterSettings>;
}

const CASES: readonly Case[] = [
  { name: 'splunk', receiver: () => splunk(2), settings: { kind: 'splunk', token: 'env:TOKEN' } },
  { name: 'elasticsearch', receiver: () => elasticsearch(), settings: { kind: 'elasticsearch', format: 'ecs' } },
  { name: 'otlp', receiver: () => otlp(), settings: { kind: 'otlp', format: 'ocsf' } },
  { name: 'otlp as protobuf', receiver: () => otlp(), settings: { kind: 'otlp', format: 'ocsf', protocol: 'http/protobuf' } },
  { name: 'webhook', receiver: () => webhook(verifyWebhook), settings: { kind: 'webhook', token: 'env:SECRET' } },
  {
    name: 's3',
    receiver: () => s3(verifyS3),
    settings: { kind: 's3', target: 'audit', prefix: 'a b/', username: 'env:USER', password: 'env:PASSWORD' },
  },
  { name: 'gelf', receiver: () => gelfHttp(), settings: { kind: 'gelf' } },
];

const OUTAGE: readonly Trouble[] = [
  'lost',
  { status: 503 },
  'answer-lost',
  { status: 429, headers: { 'retry-after': '0' } },
  { slow: 30 },
  { status: 502 },
  'lost',
  { status: 401 },
  'answer-lost',
];

describe('every entry arrives, in order, through outages', () => {
  for (const { name, receiver, settings } of CASES) {
    test(name, async () => {
      await using bench = await Bench.create();
      const { api, received } = receiver();
      await using standIn = await StandIn.start(api);
      standIn.troubles.push(...OUTAGE);
      await bench.append(70, (i) => ({ id: `r${i}`, detail: { text: `\u00e9 | = ] " \\ ${i}` } }));
      await using exporters = bench.exporters({ ...settings, url: standIn.url });
      exporters.start();
      const sent = await bench.hashes();
      await until(() => new Set(received).size >= sent.length && exporters.status()[0]?.lag === 0, 'all delivered');
      assertDelivered(sent, received, exporterSettings({}).batch.events);
      assert.deepEqual(exporters.status()[0]?.dead, 0);
      // What is written while it runs follows.
      await bench.append(5);
      await until(() => new Set(received).size === sent.length + 5, 'five more');
      assertDelivered(await bench.hashes(), received, 20);
    });
  }
});
