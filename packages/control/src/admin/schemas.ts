import Type from 'typebox';

// Pieces that the routes' schemas share. What goes over the wire is closed: a field that no schema names is refused on the way in and
// does not get out.

export const closed: { readonly additionalProperties: false } = { additionalProperties: false };

type Nullable<Schema extends Type.TSchema> = Type.TUnion<[Schema, Type.TNull]>;

/** RFC 3339. */
export function instant(description: string): Type.TString {
  return Type.String({ format: 'date-time', description, examples: ['2027-01-31T12:00:00Z'] });
}

export function maybeInstant(description: string): Nullable<Type.TString> {
  return Type.Union([instant(description), Type.Null()]);
}

export function maybeText(description: string): Nullable<Type.TString> {
  return Type.Union([Type.String({ description }), Type.Null()]);
}

export function texts(description: string): Type.TArray<Type.TString> {
  return Type.Array(Type.String({ maxLength: 256 }), { maxItems: 64, description });
}

export function maybeTexts(description: string): Nullable<Type.TArray<Type.TString>> {
  return Type.Union([texts(description), Type.Null()]);
}

/** `30s`, `24h`, `90d`. */
export function duration(description: string): Type.TString {
  return Type.String({ pattern: '^[0-9]{1,9}(ms|s|m|h|d)$', description, examples: ['24h'] });
}

export const PAGE: {
  readonly limit: Type.TOptional<Type.TInteger>;
  readonly cursor: Type.TOptional<Type.TString>;
  readonly tenant: Type.TOptional<Type.TString>;
} = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: '100 where it is left out.' })),
  cursor: Type.Optional(Type.String({ maxLength: 128, description: '`next` of the page before.' })),
  tenant: Type.Optional(Type.String({ maxLength: 64, description: 'Another tenant than your own takes an owner.' })),
};

export const NEXT: Nullable<Type.TString> = maybeText('Cursor of the next page; null on the last.');

/** Epoch milliseconds as RFC 3339. */
export function asInstant(time: number): string {
  return new Date(time).toISOString();
}

export function asMaybeInstant(time: number | null): string | null {
  return time === null ? null : asInstant(time);
}
