/**
 * What a caller may ask to do. One closed list for every plane: the policy engine, the roles and the
 * generated route table are all checked against it, so a route without a permission does not compile.
 */
export const ACTIONS = [
  // data plane
  'model.infer',
  'model.embed',
  'model.rerank',
  'model.list',
  'model.show',
  'model.manage',
  // request features that could otherwise go round a policy (see wire: restricted fields)
  'feature.template',
  'feature.decoding',
  'feature.adapter',
  'feature.residency',
  'feature.server-tools',
  'feature.stored-state',
  'feature.references',
  'feature.private-references',
  // control plane
  'key.create',
  'key.list',
  'key.revoke',
  'key.rotate',
  'user.manage',
  'role.list',
  'role.manage',
  'policy.read',
  'policy.write',
  'config.read',
  'config.write',
  'prompt.read',
  'prompt.write',
  'audit.read',
  'audit.export',
  'metrics.read',
  'encryption-key.rotate',
] as const;

export type Action = (typeof ACTIONS)[number];

/** What the action is done to. `name` is the public model name, key id and so on; `*` where the action has no single object. */
export interface Resource {
  readonly kind: 'model' | 'key' | 'user' | 'role' | 'policy' | 'config' | 'prompt' | 'ledger' | 'metrics' | 'encryption-key';
  readonly name: string;
}

/** The outcome of policy. Always names the rule that decided, so that `policy explain` and the ledger can. */
export type Decision =
  | { readonly effect: 'permit'; readonly rule: string }
  | { readonly effect: 'deny'; readonly rule: string; readonly reason: string };
