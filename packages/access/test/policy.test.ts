import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACTIONS, type Action, type Decision, type KeyRecord, type Principal, type Resource, type Role } from '@sallyport/core';
import fc from 'fast-check';
import {
  builtInRoles,
  compilePolicy,
  type DecisionContext,
  effectiveRoles,
  ModelSet,
  matchGlob,
  refusal,
  roleProblems,
} from '../src/index.ts';
import { identity, mintKey, principalOfKey, snapshotOf } from './fixtures.ts';
import { issuerRow } from './issuer.ts';

const now = 1_000_000;
const here: DecisionContext = { now, ip: '203.0.113.9' };
const chat: Resource = { kind: 'model', name: 'chat' };
const anyModel: Resource = { kind: 'model', name: '*' };
const config: Resource = { kind: 'config', name: '*' };

function role(name: string, actions: readonly Action[], models: readonly string[] | null = null): Role {
  return { name, builtIn: false, actions, models };
}

/** Decides for a key with these traits. */
function decideFor(traits: Partial<KeyRecord>, action: Action, resource: Resource, roles: readonly Role[] = [], context = here): Decision {
  const { record } = mintKey(traits);
  return compilePolicy(snapshotOf({ keys: [record], roles })).decide(principalOfKey(record), action, resource, context);
}

function ruleFor(...question: Parameters<typeof decideFor>): string {
  const { effect, rule } = decideFor(...question);
  return `${effect} ${rule}`;
}

describe('decide', () => {
  it('permits what a role holds and names it', () => {
    assert.deepEqual(decideFor({ roles: ['user'] }, 'model.infer', chat), { effect: 'permit', rule: 'role:user/model.infer' });
    assert.equal(ruleFor({ roles: ['auditor', 'user'] }, 'model.infer', chat), 'permit role:user/model.infer');
  });

  it('denies by default', () => {
    assert.equal(ruleFor({ roles: [] }, 'model.infer', chat), 'deny default-deny');
    assert.equal(ruleFor({ roles: ['no-such-role', '__proto__', 'constructor'] }, 'model.infer', chat), 'deny default-deny');
    assert.equal(ruleFor({ roles: ['user'] }, 'config.write', config), 'deny default-deny');
    assert.equal(ruleFor({ roles: ['auditor'] }, 'model.infer', chat), 'deny default-deny');
  });

  it('keeps a key to its models', () => {
    const models = ['chat', 'llama*'];
    assert.equal(ruleFor({ models }, 'model.infer', chat), 'permit role:user/model.infer');
    assert.equal(ruleFor({ models }, 'model.infer', { kind: 'model', name: 'llama3.2:1b' }), 'permit role:user/model.infer');
    assert.equal(ruleFor({ models }, 'model.infer', { kind: 'model', name: 'secret' }), 'deny key:models');
    assert.equal(ruleFor({ models }, 'feature.references', { kind: 'model', name: 'secret' }), 'deny key:models');
    assert.equal(ruleFor({ models }, 'model.infer', anyModel), 'deny key:models');
    assert.equal(ruleFor({ models: [] }, 'model.infer', chat), 'deny key:models');
    assert.equal(ruleFor({ models: ['*'] }, 'model.infer', chat), 'permit role:user/model.infer');
  });

  it('keeps a role to its models, and lets another role reach further', () => {
    const roles = [role('llamas', ['model.infer', 'feature.template'], ['llama*']), role('rest', ['model.infer'])];
    const llama: Resource = { kind: 'model', name: 'llama3' };
    assert.equal(ruleFor({ roles: ['llamas'] }, 'model.infer', llama, roles), 'permit role:llamas/model.infer');
    assert.equal(ruleFor({ roles: ['llamas'] }, 'model.infer', chat, roles), 'deny role:llamas/models');
    assert.equal(ruleFor({ roles: ['llamas', 'rest'] }, 'model.infer', chat, roles), 'permit role:rest/model.infer');
    assert.equal(ruleFor({ roles: ['llamas', 'rest'] }, 'feature.template', chat, roles), 'deny role:llamas/models');
  });

  it('permits listing as such to a narrowed key, and the names one by one', () => {
    assert.equal(ruleFor({ models: ['chat'] }, 'model.list', anyModel), 'permit role:user/model.list');
    assert.equal(ruleFor({ models: ['chat'] }, 'model.list', chat), 'permit role:user/model.list');
    assert.equal(ruleFor({ models: ['chat'] }, 'model.list', { kind: 'model', name: 'secret' }), 'deny key:models');
    assert.equal(ruleFor({ roles: ['auditor'] }, 'model.list', anyModel), 'deny default-deny');
  });

  it('does not let model limits stand in the way of other actions', () => {
    assert.equal(
      ruleFor({ roles: ['auditor'], models: ['chat'] }, 'audit.read', { kind: 'ledger', name: '*' }),
      'permit role:auditor/audit.read',
    );
  });

  it('ends with the key: revoked, expired, replaced, or used from elsewhere', () => {
    assert.equal(ruleFor({ revokedAt: now + 1 }, 'model.infer', chat), 'deny credential:revoked');
    assert.equal(ruleFor({ expiresAt: now }, 'model.infer', chat), 'deny credential:expired');
    assert.equal(ruleFor({ expiresAt: now + 1 }, 'model.infer', chat), 'permit role:user/model.infer');
    const allowedIps = ['198.51.100.0/24'];
    assert.equal(ruleFor({ allowedIps }, 'model.infer', chat), 'deny address');
    assert.equal(ruleFor({ allowedIps }, 'model.infer', chat, [], { now, ip: null }), 'deny address');
    assert.equal(ruleFor({ allowedIps }, 'model.infer', chat, [], { now, ip: '198.51.100.7' }), 'permit role:user/model.infer');
    const { record } = mintKey();
    assert.equal(compilePolicy(snapshotOf({})).decide(principalOfKey(record), 'model.infer', chat, here).rule, 'credential:unknown');
  });

  it('A2: a principal made from an older snapshot has the rights its key has now', () => {
    const { record } = mintKey({ roles: ['owner'] });
    const before = principalOfKey(record);
    const policy = compilePolicy(snapshotOf({ keys: [{ ...record, roles: ['inference-only'], models: ['chat'] }] }));
    assert.equal(policy.decide(before, 'config.write', config, here).rule, 'default-deny');
    assert.equal(policy.decide(before, 'model.infer', chat, here).rule, 'role:inference-only/model.infer');
    assert.equal(policy.decide({ ...before, roles: ['owner', 'security-admin'] }, 'config.write', config, here).rule, 'default-deny');
  });

  it('decides for certificates and tokens by what admitted them', () => {
    const row = identity({ models: ['chat'] });
    const policy = compilePolicy(snapshotOf({ identities: [row], issuers: [issuerRow()] }));
    const base = { id: 'x', kind: 'workload', tenant: 'acme', user: null, team: null, roles: ['user'] } as const;
    const certified = (admittedBy: string): Principal => ({
      ...base,
      credential: { kind: 'client-certificate', id: 'ab', expiresAt: now + 1, admittedBy },
    });
    const signed = (admittedBy: string, expiresAt: number): Principal => ({
      ...base,
      credential: { kind: 'jwt', id: 't', expiresAt, admittedBy },
    });
    const rule = (principal: Principal, resource: Resource = chat) => policy.decide(principal, 'model.infer', resource, here).rule;
    assert.equal(rule(certified('batch')), 'role:inference-only/model.infer');
    assert.equal(rule(certified('batch'), { kind: 'model', name: 'secret' }), 'certificate:models');
    assert.equal(rule(certified('gone')), 'credential:unknown');
    assert.equal(rule(signed('corp', now + 1)), 'role:user/model.infer');
    assert.equal(rule(signed('corp', now)), 'credential:expired');
    assert.equal(rule(signed('gone', now + 1)), 'credential:unknown');
    assert.equal(rule({ ...base, credential: { kind: 'jwt', id: 't', expiresAt: null } }), 'credential:unknown');
    assert.equal(rule({ ...base, credential: { kind: 'client-certificate', id: 'ab', expiresAt: null } }), 'credential:unknown');
    assert.equal(rule({ ...base, credential: { kind: 'local', id: 'uid:0', expiresAt: null } }), 'role:user/model.infer');
  });

  it('takes built-in roles from the code, whatever a snapshot says of them', () => {
    const shadow = [role('user', ACTIONS), { ...role('auditor', ACTIONS), builtIn: true }];
    assert.equal(ruleFor({ roles: ['user', 'auditor'] }, 'encryption-key.rotate', config, shadow), 'deny default-deny');
    assert.deepEqual(effectiveRoles(shadow), builtInRoles());
  });

  it('turns denials into the contract’s codes', () => {
    const deny = (rule: string) => refusal({ effect: 'deny', rule, reason: 'internal' }, 'model.infer');
    for (const rule of ['key:models', 'role:user/models', 'certificate:models']) assert.equal(deny(rule).code, 'model_not_allowed');
    for (const rule of ['default-deny', 'address', 'credential:revoked']) assert.equal(deny(rule).code, 'forbidden');
    assert.equal(deny('default-deny').message, 'This credential lacks the permission model.infer.');
    assert.equal(deny('default-deny').detail, 'default-deny');
  });
});

const anyAction = fc.constantFrom(...ACTIONS);
const anyPatterns = fc.option(fc.uniqueArray(fc.constantFrom('chat', 'chat*', 'llama*', '*', 'secret'), { maxLength: 3 }), { nil: null });
const anyModelName = fc.constantFrom('chat', 'chat-small', 'llama3', 'secret', '*', '__proto__');
const anyRoles = fc.array(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'user'),
    builtIn: fc.constant(false),
    actions: fc.subarray([...ACTIONS]),
    models: anyPatterns,
  }),
  { maxLength: 4 },
);
const anyRoleNames = fc.subarray(['a', 'b', 'c', 'user', 'owner', 'auditor', 'missing']);

describe('decide and explain, for any policy', () => {
  const anyQuestion = fc.record({
    roles: anyRoles,
    held: anyRoleNames,
    models: anyPatterns,
    expiresAt: fc.constantFrom(null, now - 1, now + 1),
    revokedAt: fc.constantFrom(null, null, null, now - 1),
    allowedIps: fc.constantFrom(null, null, ['203.0.113.0/24'], ['198.51.100.0/24']),
    action: anyAction,
    kind: fc.constantFrom<Resource['kind']>('model', 'config'),
    name: anyModelName,
  });

  it('agree, and exactly the deciding rule is marked', () => {
    fc.assert(
      fc.property(anyQuestion, ({ roles, held, action, kind, name, ...traits }) => {
        const { record } = mintKey({ ...traits, roles: held });
        const policy = compilePolicy(snapshotOf({ keys: [record], roles }));
        const resource = { kind, name };
        const decision = policy.decide(principalOfKey(record), action, resource, here);
        const explanation = policy.explain(principalOfKey(record), action, resource, here);
        assert.deepEqual(explanation.decision, decision);
        assert.deepEqual(
          explanation.considered.filter(({ decides }) => decides).map(({ rule, effect }) => ({ rule, effect })),
          [{ rule: decision.rule, effect: decision.effect }],
        );
      }),
    );
  });

  it('permit only what some held role holds, for a key in force and within its models', () => {
    fc.assert(
      fc.property(anyQuestion, ({ roles, held, action, kind, name, ...traits }) => {
        const decision = decideFor({ ...traits, roles: held }, action, { kind, name }, roles);
        if (decision.effect === 'deny') return;
        assert.equal(traits.revokedAt, null);
        assert.ok(traits.expiresAt === null || traits.expiresAt > now);
        assert.notDeepEqual(traits.allowedIps, ['198.51.100.0/24']);
        const known = effectiveRoles(roles);
        const holder = held.map((each) => known.get(each)).find((each) => decision.rule === `role:${each?.name}/${action}`);
        if (holder === undefined) assert.fail(`no held role is behind ${decision.rule}`);
        assert.ok(holder.actions.includes(action));
        if (kind !== 'model' || (action === 'model.list' && name === '*')) return;
        for (const models of [holder.models, traits.models]) assert.ok(models === null || models.some((glob) => matchGlob(glob, name)));
      }),
    );
  });
});

describe('explain', () => {
  it('lists every rule that was considered, for policy explain', () => {
    const { record } = mintKey({ roles: ['auditor', 'llamas', 'user', 'gone'], models: ['chat'] });
    const policy = compilePolicy(snapshotOf({ keys: [record], roles: [role('llamas', ['model.infer'], ['llama*'])] }));
    const { decision, considered } = policy.explain(principalOfKey(record), 'model.infer', chat, here);
    assert.deepEqual(decision, { effect: 'permit', rule: 'role:user/model.infer' });
    assert.deepEqual(
      considered.map(({ rule, effect, decides }) => [rule, effect, decides]),
      [
        ['credential', 'permit', false],
        ['role:auditor', 'no-match', false],
        ['role:llamas/models', 'deny', false],
        ['role:user/model.infer', 'permit', true],
        ['role:gone', 'no-match', false],
        ['key:models', 'permit', false],
        ['default-deny', 'deny', false],
      ],
    );
  });
});

describe('A2: canGrant (CVE-2026-47101)', () => {
  const roles = [
    role('llama-user', ['model.infer', 'model.list'], ['llama*']),
    role('llama-manager', ['model.infer', 'model.list', 'key.create'], ['llama*']),
    role('minter', ['key.create', 'role.manage']),
    role('chatter', ['model.infer']),
  ];
  const policy = compilePolicy(snapshotOf({ roles }));
  const grant = (
    granter: readonly string[],
    given: readonly string[],
    from: readonly string[] | null = null,
    to: readonly string[] | null = null,
  ) => policy.canGrant({ roles: granter, models: from }, { roles: given, models: to });
  const effect = (...question: Parameters<typeof grant>) => grant(...question).effect;

  it('lets an owner give every built-in role', () => {
    for (const name of builtInRoles().keys()) assert.equal(effect(['owner'], [name]), 'permit', name);
  });

  it('lets nobody but an owner give owner, and no other role give itself more', () => {
    for (const granter of builtInRoles().keys()) {
      assert.equal(effect([granter], [granter]), 'permit');
      if (granter !== 'owner') assert.equal(effect([granter], ['owner']), 'deny', granter);
    }
    assert.deepEqual(grant(['model-manager'], ['security-admin']), {
      effect: 'deny',
      rule: 'grant:security-admin/user.manage',
      reason: 'the granter does not hold user.manage to the extent that security-admin gives it',
    });
  });

  it('lets a model manager give keys to models, and a security admin not', () => {
    assert.equal(effect(['model-manager'], ['user', 'inference-only']), 'permit');
    assert.equal(effect(['security-admin'], ['inference-only']), 'deny');
    assert.equal(effect(['minter'], ['inference-only']), 'deny');
    assert.equal(effect(['minter', 'user'], ['inference-only']), 'permit');
  });

  it('does not let a narrowed right become a wide one', () => {
    assert.equal(effect(['llama-manager'], ['llama-user']), 'permit');
    assert.equal(effect(['llama-manager', 'minter'], ['inference-only']), 'deny');
    assert.equal(effect(['llama-manager'], ['chatter']), 'deny');
    assert.equal(effect(['llama-manager'], ['chatter'], null, ['llama3']), 'permit');
    assert.equal(effect(['user'], ['llama-user']), 'permit');
    assert.equal(effect(['user'], ['user'], ['llama*'], ['llama3', 'llama-*']), 'permit');
    assert.equal(effect(['user'], ['user'], ['llama*'], null), 'deny');
    assert.equal(effect(['user'], ['user'], ['llama*'], ['llama3', 'chat']), 'deny');
    assert.equal(effect(['user'], ['user'], ['llama*'], ['*']), 'deny');
    assert.equal(grant(['user'], ['user'], ['llama*'], null).rule, 'grant:models');
  });

  it('refuses a role that does not exist, and permits none at all', () => {
    for (const name of ['missing', '__proto__', '']) assert.equal(grant(['owner'], [name]).rule, 'grant:unknown-role');
    assert.equal(effect([], []), 'permit');
    assert.equal(effect([], ['user']), 'deny');
  });

  it('says what a principal may hand out', () => {
    const { record } = mintKey({ roles: ['user'], models: ['llama*'] });
    const own = compilePolicy(snapshotOf({ keys: [record] }));
    assert.deepEqual(own.rightsOf(principalOfKey(record)), { roles: ['user'], models: ['llama*'] });
    assert.deepEqual(own.rightsOf(principalOfKey(mintKey().record)), { roles: [], models: [] });
  });

  it('never adds a right, for any roles: what the new key may do, its maker may do', () => {
    // Few actions, so that a grant is often held and the property is about its extent.
    const few: readonly Action[] = ['model.infer', 'model.list', 'feature.template', 'key.create'];
    const fewRoles = fc.array(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c'),
        builtIn: fc.constant(false),
        actions: fc.subarray([...few]),
        models: anyPatterns,
      }),
      { maxLength: 4 },
    );
    const anyGrant = fc.record({
      roles: fewRoles,
      granter: anyRoleNames,
      given: anyRoleNames,
      from: anyPatterns,
      to: anyPatterns,
      action: fc.constantFrom(...few),
      name: anyModelName,
    });
    fc.assert(
      fc.property(anyGrant, ({ roles: custom, granter, given, from, to, action, name }) => {
        const maker = mintKey({ roles: granter, models: from }).record;
        const made = mintKey({ roles: given, models: to }).record;
        const any = compilePolicy(snapshotOf({ roles: custom, keys: [maker, made] }));
        if (any.canGrant(any.rightsOf(principalOfKey(maker)), { roles: given, models: to }).effect === 'deny') return;
        for (const kind of ['model', 'config'] as const) {
          if (any.decide(principalOfKey(made), action, { kind, name }, here).effect === 'deny') continue;
          assert.equal(any.decide(principalOfKey(maker), action, { kind, name }, here).effect, 'permit', `${action} on ${kind} ${name}`);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('model globs', () => {
  it('match like the regular expression they stand for, whatever their text', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 }),
      fc.string({ unit: fc.constantFrom('a', '.', '*', '-', '(', '['), maxLength: 12 }),
    );
    fc.assert(
      fc.property(text, text, (glob, name) => {
        const expected = new RegExp(
          `^${glob
            .split('*')
            .map((piece) => piece.replace(/[^a-z]/g, '\\$&'))
            .join('.*')}$`,
          's',
        ).test(name);
        assert.equal(matchGlob(glob, name), expected, `${glob} against ${name}`);
      }),
      { numRuns: 3_000 },
    );
  });

  it('are anchored at both ends and never match beyond their length', () => {
    assert.ok(matchGlob('llama*', 'llama'));
    assert.ok(!matchGlob('llama*', 'my-llama'));
    assert.ok(!matchGlob('*:latest', 'chat:latest2'));
    assert.ok(!matchGlob('ab*ba', 'aba'));
    assert.ok(!matchGlob('*ab*b', 'ab'));
    assert.ok(matchGlob('*ab*b', 'abb'));
    assert.ok(!matchGlob('*', 'x'.repeat(257)));
    assert.ok(!matchGlob('*'.repeat(257), 'x'));
  });

  it('cover only what they match: whatever a covered pattern matches, they match', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 3 }), fc.array(pattern, { maxLength: 3 }), name, (ours, theirs, candidate) => {
        const set = new ModelSet(ours);
        if (set.covers(theirs) && new ModelSet(theirs).has(candidate))
          assert.ok(set.has(candidate), `${ours} over ${theirs} at ${candidate}`);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(new ModelSet(null).covers(null));
    assert.ok(!new ModelSet(['llama*']).covers(null));
    assert.ok(new ModelSet(['*']).covers(null));
  });
});

describe('custom roles', () => {
  it('are told what is wrong with them', () => {
    assert.deepEqual(roleProblems(role('llama-users', ['model.infer'], ['llama*'])), []);
    for (const name of ['', 'Owner', '1st', 'a b', 'a/b', 'x'.repeat(65), '__proto__']) {
      assert.equal(roleProblems({ name, actions: [], models: null }).length, 1, name);
    }
    for (const name of builtInRoles().keys()) assert.match(roleProblems({ name, actions: [], models: null }).join(), /built-in/);
    assert.match(roleProblems({ name: 'a', actions: ['model.infer', 'model.*', 'toString'], models: null }).join(), /model\.\*.*toString/);
    assert.equal(roleProblems({ name: 'a', actions: [], models: ['', 'x'.repeat(257)] }).length, 2);
  });
});
