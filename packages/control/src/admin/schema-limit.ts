import type { LimitRule } from '@sallyport/core';
import Type, { type Static } from 'typebox';
import { MILLIONTHS } from '../config/read-limits.ts';
import { formatDuration } from '../config/units.ts';
import { closed, maybeText, maybeTexts } from './schemas.ts';

export const QUANTITY: Type.TEnum<['requests', 'input-tokens', 'output-tokens', 'tokens', 'concurrency', 'spend']> = Type.Enum([
  'requests',
  'input-tokens',
  'output-tokens',
  'tokens',
  'concurrency',
  'spend',
]);

/** A limit as it is shown. */
export const LimitSchema: Type.TObject<{
  name: Type.TString;
  quantity: typeof QUANTITY;
  amount: Type.TNumber;
  window: Type.TUnion<[Type.TString, Type.TNull]>;
  timezone: Type.TUnion<[Type.TString, Type.TNull]>;
  models: Type.TUnion<[Type.TArray<Type.TString>, Type.TNull]>;
}> = Type.Object(
  {
    name: Type.String(),
    quantity: QUANTITY,
    amount: Type.Number(),
    window: maybeText('Null for concurrency.'),
    timezone: maybeText('Of a period of the calendar, else null.'),
    models: maybeTexts('Null for every model.'),
  },
  closed,
);

export function showLimit(limit: LimitRule): Static<typeof LimitSchema> {
  return {
    name: limit.name,
    quantity: limit.quantity,
    amount: limit.quantity === 'spend' ? limit.amount / MILLIONTHS : limit.amount,
    window: limit.calendar?.unit ?? (limit.window === 0 ? null : formatDuration(limit.window)),
    timezone: limit.calendar?.zone ?? null,
    models: limit.models === null ? null : [...limit.models],
  };
}
