/** Shannon entropy of the units of a text, in bits a unit. */
export function entropy(text: string): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < text.length; i++) counts.set(text.charCodeAt(i), (counts.get(text.charCodeAt(i)) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

const STAND_IN =
  /(.)\1{5}|\b([A-Za-z0-9]{4,})-\2-\2\b|example|placeholder|redact|dummy|changeme|change[_-]me|your[_-]?|insert[_-]|replace[_-]?me|xxxx|\.\.|<|>|\$\{|\$\(|\{\{|%[a-z]|abcdefghijklm|0123456789|1234567890|sk-1234|foobar|my[_-]?(?:secret|token|password|api)|todo/i;

/** Whether a value is what documentation writes in place of a secret. */
export function isStandIn(value: string): boolean {
  return STAND_IN.test(value);
}
