import type { Guard } from '../src/guard.ts';
import { FORMS } from '../test/exfiltration-forms.ts';
import { rate, table } from './figures.ts';
import type { Row } from './sets.ts';

/** How a system prompt is given away. */
const LEAKS: Readonly<Record<string, (text: string) => string>> = {
  verbatim: (text) => text,
  '160 characters of it': (text) => text.slice(Math.floor(text.length / 3), Math.floor(text.length / 3) + 160),
  spaced: (text) => [...text].join(' '),
  base64: (text) => Buffer.from(text).toString('base64'),
  hexadecimal: (text) => Buffer.from(text).toString('hex'),
  reversed: (text) => [...text].reverse().join(''),
};

/** The other side of the door: ways out, leaks of the system prompts in the data, and ordinary replies, each beside ten of those prompts. `echoes` looks for orders to a model. */
export function outputFigures(guard: Guard, echoes: Guard, rows: readonly Row[]): string | null {
  const prompts = rows.filter(({ attack, context }) => !attack && context.provenance === 'system').map(({ text }) => text);
  const replies = rows.filter(({ context }) => context.stage === 'output').map(({ text }) => text);
  if (prompts.length === 0 || replies.length === 0) return null;
  const finds = (text: string, prompt: string | null, detector: string, by = guard): boolean => {
    const exchange = { given: prompt === null ? [] : [{ provenance: 'system' as const, text: prompt }], prompt: null, canary: null };
    const verdict = by.inspect(text, { stage: 'output', provenance: 'assistant', kind: 'text', exchange });
    return verdict.effect !== 'pass' && verdict.findings.some((finding) => finding.detector === detector);
  };
  const forms = Object.values(FORMS);
  const lines = [['ways out found', rate(forms.filter((text) => finds(text, null, 'exfiltration')).length, forms.length)]];
  for (const [name, form] of Object.entries(LEAKS)) {
    const found = prompts.filter((prompt) => finds(`Sure:\n${form(prompt)}`, prompt, 'system-prompt')).length;
    lines.push([`system prompts found, ${name}`, rate(found, prompts.length)]);
  }
  const beside = replies.flatMap((reply, index) =>
    Array.from({ length: 10 }, (_, turn) => [reply, prompts[(index * 97 + turn * 613) % prompts.length] ?? ''] as const),
  );
  lines.push([
    'ordinary replies flagged, exfiltration',
    rate(replies.filter((text) => finds(text, null, 'exfiltration')).length, replies.length),
  ]);
  lines.push([
    'ordinary replies flagged, injection',
    rate(replies.filter((text) => finds(text, null, 'injection', echoes)).length, replies.length),
  ]);
  const leaks = beside.filter(([reply, prompt]) => finds(reply, prompt, 'system-prompt')).length;
  lines.push(['ordinary replies flagged, system-prompt', rate(leaks, beside.length)]);
  return table([['replies', 'rate [95 %]'], ...lines]);
}
