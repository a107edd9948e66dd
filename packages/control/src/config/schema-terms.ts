import Type from 'typebox';

/**
 * `title` of each node says what is expected there, in the words problems use; `description` explains the key in an editor.
 * The shape is checked with these; what the shape cannot say (names that must exist, URLs, addresses) is checked in the readers beside this file.
 */
export const CLOSED = { additionalProperties: false } as const;

export const Name: Type.TString = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  title: "a name of letters, digits, '.', '_' and '-', at most 64 long",
});
export const ModelName: Type.TString = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,191}$',
  title: "a model name of letters, digits and '._:/@+-', at most 192 long",
});
export const ModelGlob: Type.TString = Type.String({
  pattern: '^[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,191}$',
  title: "a model name, '*' standing for any characters",
});
export const Duration: Type.TString = Type.String({
  pattern: '^[0-9]{1,9}(ms|s|m|h|d)$',
  title: 'a duration such as 500ms, 30s, 1m, 24h or 30d',
});
export const Reference: Type.TString = Type.String({
  pattern: '^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\\u0000-\\u001f]{1,1024})$',
  title: 'a reference: env:NAME or file:/path',
});
export const Listen: Type.TString = Type.String({
  pattern: '^.{1,255}:[0-9]{1,5}$',
  title: 'an address such as 127.0.0.1:7070 or [::1]:7070',
});
export const Cidr: Type.TString = Type.String({
  pattern: '^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$',
  title: 'a CIDR block such as 10.0.0.0/8, or an IP address',
});
export const Url: Type.TString = Type.String({ pattern: '^https?://[^\\s]{1,1024}$', title: 'an http or https URL' });
export const Text = (title: string, maxLength: number): Type.TString =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f]*$', title });
export const Count = (minimum: number, maximum: number): Type.TInteger =>
  Type.Integer({ minimum, maximum, title: `a whole number from ${minimum} to ${maximum}` });
export const Money: Type.TNumber = Type.Number({ minimum: 0, maximum: 1_000_000, title: 'a price from 0 to 1000000' });
export const List = <T extends Type.TSchema>(items: T, title: string, maxItems = 10_000): Type.TArray<T> =>
  Type.Array(items, { maxItems, title });
export const RoleNames: Type.TArray<Type.TString> = List(Name, 'a list of role names', 64);
export const ModelGlobs: Type.TArray<Type.TString> = Type.Array(ModelGlob, { maxItems: 1_000, title: 'a list of model names or globs' });
