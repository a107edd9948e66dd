import type { Fault, LimitRule, Principal } from '@sallyport/core';
import type { LimitRequest, LimitRules } from '../src/index.ts';

// What tests of the limits ask with.

export const principal = (id: string, over: Partial<Principal> = {}): Principal => ({
  id,
  kind: 'application',
  tenant: 'acme',
  user: null,
  team: null,
  roles: ['user'],
  credential: { kind: 'api-key', id, expiresAt: null },
  ...over,
});

export const rule = (over: Partial<LimitRule>): LimitRule => ({
  name: 'r',
  per: 'key',
  quantity: 'tokens',
  amount: 100,
  window: 60_000,
  models: null,
  ...over,
});

export const rules = (...list: LimitRule[]): LimitRules => ({ rules: list, keyRules: () => [] });

export const request = (over: Partial<LimitRequest> = {}): LimitRequest => ({
  principal: principal('k1'),
  model: 'm',
  upstream: 'u',
  session: null,
  price: null,
  address: '10.0.0.1',
  estimate: { input: 10, output: 10, outputBounded: true },
  ...over,
});

/** The code of the fault `act` throws, or `none`. */
export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Fault).code;
  }
  return 'none';
}

export const tokens = (input: number, output: number): { input: number; output: number; cached: number; exact: boolean } => ({
  input,
  output,
  cached: 0,
  exact: true,
});
