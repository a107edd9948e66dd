/**
 * Measures the guard on labelled data: `npm run eval guard -- --data DIR`, where DIR holds one folder a set (JSON Lines with `text`,
 * `label`, `kind`, `lang`). Nothing of the data is printed but counts.
 */
import { parseArgs } from 'node:util';
import type { GuardSettings } from '@sallyport/core';
import { compileGuard, compileSeamGuard, DEFAULT_INPUT, DEFAULT_OUTPUT } from '../src/index.ts';
import { recall } from './attacks.ts';
import { contentFigures } from './content.ts';
import { underDisguise } from './disguises.ts';
import { falsePositives } from './false-positives.ts';
import { readOtherRows } from './other-sets.ts';
import { outputFigures } from './output.ts';
import { personalFigures } from './personal.ts';
import { secretFigures } from './secrets.ts';
import { readRows } from './sets.ts';
import { splitFigures } from './split.ts';
import { atStrictRates, paperTable } from './strict.ts';

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    input: { type: 'string', default: DEFAULT_INPUT.join() },
    verbose: { type: 'boolean', default: false },
    output: { type: 'string', default: DEFAULT_OUTPUT.join() },
  },
});
if (values.data === undefined) {
  process.stderr.write('usage: npm run eval guard -- --data DIR [--input characters,length] [--output ...]\n');
  process.exit(2);
}

const settings: GuardSettings = {
  input: values.input.split(','),
  output: values.output.split(','),
  mode: 'transform',
  deny: [],
  onBlock: 'fault',
  onUnavailable: 'block',
  maxTextLength: 1_000_000,
  links: { hosts: [], only: false },
};
const guard = compileGuard(settings);
const seams = compileSeamGuard(settings);
// Names and places are looked for where they are asked for; here they are, whatever the lists say.
const personal = compileGuard({ ...settings, input: ['pii', 'entities'], output: [] });
const echoes = compileGuard({ ...settings, input: [], output: ['normalise', 'injection'] });
const content = compileGuard({ ...settings, input: ['content'], output: ['content'] });
const rows = [...readRows(values.data), ...readOtherRows(values.data)];
const figures = [
  falsePositives(guard, rows),
  recall(guard, rows),
  atStrictRates(guard, rows),
  paperTable(guard, rows),
  seams === null ? null : underDisguise(guard, seams, rows),
  seams === null ? null : splitFigures(guard, seams, rows),
  secretFigures(guard, values.data, values.verbose),
  personalFigures(personal, values.data),
  outputFigures(guard, echoes, rows),
  contentFigures(content, rows, values.data),
];
for (const figure of figures) if (figure !== null) process.stdout.write(`${figure}\n\n`);
