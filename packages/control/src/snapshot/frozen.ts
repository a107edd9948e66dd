/** A map whose content is set once. A plain `Map` behind `ReadonlyMap` is only read-only to the compiler, and `Object.freeze` does not reach its entries. */
export class FrozenMap<K, V> extends Map<K, V> {
  constructor(entries: Iterable<readonly [K, V]>) {
    super();
    for (const [key, value] of entries) super.set(key, value);
  }

  override set(_key: K, _value: V): this {
    throw new TypeError('a frozen map cannot be changed');
  }

  override delete(_key: K): boolean {
    throw new TypeError('a frozen map cannot be changed');
  }

  override clear(): void {
    throw new TypeError('a frozen map cannot be changed');
  }
}

/** Freezes plain data, lists and frozen maps all the way down, and returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  if (value instanceof FrozenMap) for (const item of value.values()) deepFreeze(item);
  for (const item of Object.values(value)) deepFreeze(item);
  return value;
}
