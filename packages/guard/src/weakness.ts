import type { GuardSettings } from '@sallyport/core';
import { blindInReplies } from './content/content.ts';
import type { Side } from './detectors.ts';
import { HEADS } from './injection/weights.ts';
import { PACKS } from './packs.ts';

/** Where settings are weaker than the pack `balanced`, or than they look. `path` is within the settings. */
export interface GuardWeakness {
  readonly path: readonly string[];
  readonly message: string;
  readonly fix: string;
}

/** Everything in which `settings` fall short of `balanced`, or of what they say: an operator may choose it, but is told. */
export function weaknesses(settings: GuardSettings): readonly GuardWeakness[] {
  const found: GuardWeakness[] = [];
  if (settings.mode === 'observe') {
    found.push({ path: ['mode'], message: 'findings are recorded and nothing is stopped', fix: 'use transform or hold' });
  }
  if (settings.onUnavailable === 'pass-unsafe') {
    found.push({ path: ['onUnavailable'], message: 'text that could not be inspected passes', fix: 'use block' });
  }
  for (const side of ['input', 'output'] as const) found.push(...ofList(settings, side));
  const blind = blindInReplies(settings);
  if (blind.length > 0) {
    found.push({
      path: ['content'],
      message: `${blind.join(', ')} of content to be blocked, but not looked for in replies, only in what users say`,
      fix: 'rely on it for requests only, or remove content from guards.output',
    });
  }
  const { injection } = settings.thresholds ?? {};
  for (const degree of ['flag', 'block'] as const) {
    const given = injection?.[degree];
    const calibrated = Math.max(...[HEADS.user, HEADS.untrusted].flatMap(({ thresholds }) => thresholds[degree].map(probability)));
    if (given === undefined || given <= calibrated) continue;
    found.push({
      path: ['thresholds', 'injection', degree],
      message: `injection needs a score of ${given}, where the calibrated thresholds end at ${calibrated.toFixed(3)}`,
      fix: 'lower it, or remove it to have the calibrated thresholds',
    });
  }
  return found;
}

function ofList(settings: GuardSettings, side: Side): GuardWeakness[] {
  const given = new Map(settings[side].map((item) => [item.split(':', 1)[0] ?? item, item.split(':', 2)[1]] as const));
  const denied = settings.deny.some(({ stages }) => stages.includes(side));
  if (given.size === 0 && !denied) {
    return [{ path: [side], message: `nothing is looked for in the ${side}`, fix: `remove guards.${side} to get the default detectors` }];
  }
  const names = PACKS.balanced[side].map((item) => item.split(':', 1)[0] ?? item);
  const missing = names.filter((name) => !given.has(name));
  const reporting = names.filter((name) => given.get(name) === 'flag');
  const found: GuardWeakness[] = [];
  if (missing.length > 0) {
    found.push({
      path: [side],
      message: `${missing.join(', ')} of the pack balanced not looked for in the ${side}`,
      fix: `add ${missing.length === 1 ? 'it' : 'them'} to guards.${side}`,
    });
  }
  if (reporting.length > 0) {
    found.push({
      path: [side],
      message: `${reporting.join(', ')} only reported in the ${side}`,
      fix: `leave the action out: ${reporting.join(', ')}`,
    });
  }
  return found;
}

function probability(score: number): number {
  return 1 / (1 + Math.exp(-score));
}
