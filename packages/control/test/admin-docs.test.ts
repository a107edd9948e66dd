import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { FAULT_STATUS } from '@sallyport/core';
import { adminRoutes } from '../src/admin/index.ts';

const DOCUMENT = new URL('../../../docs/api.md', import.meta.url);
const BEGIN = '<!-- begin: route table -->\n';
const END = '<!-- end: route table -->';

test('docs/api.md lists every error code with its status, and no other', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z_]+)` \| ([0-9]{3}) \| .+ \|$/gm)].map((row) => [row[1], Number(row[2])]);
  assert.deepEqual(rows, Object.entries(FAULT_STATUS));
});

test('docs/api.md lists every route of the admin API with its permission (UPDATE_DOCS=1 writes it anew)', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const rows = adminRoutes('0').map(
    ({ method, path, action, summary }) => `| \`${method} ${path}\` | ${action === null ? 'anybody' : `\`${action}\``} | ${summary} |\n`,
  );
  const table = `| route | takes | |\n|---|---|---|\n${rows.join('')}`;
  const start = text.indexOf(BEGIN) + BEGIN.length;
  const end = text.indexOf(END);
  assert.ok(start >= BEGIN.length && end >= start);
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(DOCUMENT, text.slice(0, start) + table + text.slice(end));
  else assert.equal(text.slice(start, end), table);
});
