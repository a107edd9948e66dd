import type { GuardPack, GuardSettings } from '@sallyport/core';
import { DEFAULT_INPUT, DEFAULT_OUTPUT } from './detectors.ts';

/** What a pack settles; everything else keeps its default. */
export type PackSettings = Pick<GuardSettings, 'input' | 'output' | 'mode'>;

/**
 * - `strict`: what is suspicious is blocked, not reported, and a reply leaves when all of it was judged
 * - `balanced`: the default
 * - `observe`: as `balanced`, recorded only
 */
export const PACKS: Readonly<Record<GuardPack, PackSettings>> = {
  strict: {
    input: ['normalise', 'characters', 'length:block', 'injection:block', 'secrets:block', 'pii'],
    output: [
      'normalise',
      'characters',
      'length:block',
      'injection:block',
      'system-prompt:block',
      'exfiltration:block',
      'secrets:block',
      'pii',
    ],
    mode: 'hold',
  },
  balanced: { input: DEFAULT_INPUT, output: DEFAULT_OUTPUT, mode: 'transform' },
  observe: { input: DEFAULT_INPUT, output: DEFAULT_OUTPUT, mode: 'observe' },
};
