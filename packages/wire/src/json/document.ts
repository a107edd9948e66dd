/** A JSON text that was checked (UTF-8, well-formed strings, depth, size, no duplicate keys) and parsed, with access to the byte span of any value. */
export interface JsonDocument {
  readonly bytes: Buffer;
  readonly value: JsonObject;
  /** Byte span `[start, end)` of the value at `path`, or null where there is none. Computed on demand. */
  span(path: readonly (string | number)[]): readonly [number, number] | null;
  /** The original bytes with the values at the given paths replaced; every other byte is untouched. Paths must not overlap. */
  edit(edits: readonly JsonEdit[]): Buffer;
}

export interface JsonEdit {
  readonly path: readonly (string | number)[];
  readonly value: JsonValue;
}

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}
