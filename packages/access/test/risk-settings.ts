import type { RiskSettings } from '@sallyport/core';

/** Settings by which the tests count. */
export const SETTINGS: RiskSettings = {
  enabled: true,
  points: { blocked: 20, flagged: 2, authentication: 1, denied: 5, enumeration: 10, limited: 0.2 },
  halfLife: 600_000,
  throttleAt: 60,
  throttlePerMinute: 10,
  challengeAt: 120,
  blockAt: 200,
  blockFor: 900_000,
  exempt: [],
};
