import { parseCidr, type RiskSettings } from '@sallyport/core';
import { DEFAULT_RISK } from './defaults.ts';
import { quote } from './problem.ts';
import { type Reading, readDuration, readSection } from './reading.ts';
import { RISK } from './schema.ts';

const TIMES: readonly [number, number] = [1_000, 7 * 86_400_000];

export function readRisk(value: unknown, reading: Reading): RiskSettings {
  const section = readSection(RISK, value, ['risk'], reading) ?? {};
  const { findings } = reading;
  const settings: RiskSettings = {
    enabled: section.enabled ?? DEFAULT_RISK.enabled,
    points: { ...DEFAULT_RISK.points, ...section.points },
    halfLife: readDuration(section.halfLife, DEFAULT_RISK.halfLife, TIMES, ['risk', 'halfLife'], reading),
    throttleAt: section.throttle?.at ?? DEFAULT_RISK.throttleAt,
    throttlePerMinute: section.throttle?.perMinute ?? DEFAULT_RISK.throttlePerMinute,
    challengeAt: section.challenge?.at ?? DEFAULT_RISK.challengeAt,
    blockAt: section.block?.at ?? DEFAULT_RISK.blockAt,
    blockFor: readDuration(section.block?.for, DEFAULT_RISK.blockFor, TIMES, ['risk', 'block', 'for'], reading),
    exempt: (section.exempt ?? []).flatMap((text, index) => {
      const block = parseCidr(text);
      if (block === null) findings.problem(['risk', 'exempt', index], 'a CIDR block such as 10.0.0.0/8, or an IP address', quote(text));
      return block === null ? [] : [`${block.address}/${block.prefix}`];
    }),
  };
  if (settings.throttleAt === 0 || settings.throttleAt > settings.challengeAt || settings.challengeAt > settings.blockAt) {
    findings.problem(
      ['risk'],
      'thresholds above 0 that rise: throttle.at, challenge.at, block.at',
      `${settings.throttleAt}, ${settings.challengeAt}, ${settings.blockAt}`,
    );
  }
  if (!settings.enabled) {
    findings.warn(['risk', 'enabled'], 'callers whose requests are refused again and again are neither slowed nor kept out', 'remove it');
  }
  return settings;
}
