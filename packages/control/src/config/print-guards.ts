import type { ClassifierSettings, GuardOverride, GuardSettings, PersonalSettings, ReplyContract } from '@sallyport/core';
import type {
  ClassifierDocument,
  ContractDocument,
  GuardOverrideDocument,
  GuardPolicyDocument,
  GuardsDocument,
  PersonalDocument,
} from './document.ts';
import { formatDuration } from './units.ts';

/** The guard policies as a file that means the same: no packs, every override whole. */
export function guardsDocument(guards: GuardSettings): GuardsDocument {
  return {
    ...withShadow(guards),
    ...(guards.classifier === undefined ? {} : { classifier: classifierDocument(guards.classifier) }),
    ...(guards.overrides === undefined ? {} : { overrides: guards.overrides.map(overrideDocument) }),
  };
}

function classifierDocument(classifier: ClassifierSettings): ClassifierDocument {
  const { model, instructions, credential, timeout, remember, threshold, kind, ...rest } = classifier;
  return {
    ...rest,
    kind,
    ...(model === null ? {} : { model }),
    ...(instructions === null ? {} : { instructions }),
    ...(credential === null ? {} : { credential }),
    ...(kind === 'score' ? { threshold } : {}),
    timeout: formatDuration(timeout),
    remember: formatDuration(remember),
  };
}

function withShadow(settings: GuardSettings): GuardPolicyDocument & { shadow?: GuardPolicyDocument } {
  return { ...policyDocument(settings), ...(settings.shadow === undefined ? {} : { shadow: policyDocument(settings.shadow) }) };
}

function policyDocument(guards: GuardSettings): GuardPolicyDocument {
  return {
    input: [...guards.input],
    output: [...guards.output],
    mode: guards.mode,
    deny: guards.deny.map((pattern) => ({ ...pattern, stages: [...pattern.stages] })),
    ...(guards.pii === undefined ? {} : { pii: personalDocument(guards.pii) }),
    ...(guards.content === undefined ? {} : { content: { actions: { ...guards.content.actions } } }),
    onBlock: guards.onBlock,
    onUnavailable: guards.onUnavailable,
    maxTextLength: guards.maxTextLength,
    links: { hosts: [...guards.links.hosts], only: guards.links.only },
    ...(guards.contract === undefined ? {} : { contract: contractDocument(guards.contract) }),
    ...(guards.thresholds === undefined ? {} : { thresholds: structuredClone(guards.thresholds) }),
  };
}

function contractDocument({ schema, requested, languages, minLength, maxLength, repair, onBreach }: ReplyContract): ContractDocument {
  return {
    ...(schema === null ? {} : { schema: structuredClone(schema) }),
    ...(requested === true ? { requested } : {}),
    ...(languages.length === 0 ? {} : { languages: [...languages] }),
    minLength,
    ...(maxLength === null ? {} : { maxLength }),
    repair,
    onBreach,
  };
}

function overrideDocument({ name, models, endpoints, roles, tenants, settings }: GuardOverride): GuardOverrideDocument {
  const whom = Object.entries({ models, endpoints, roles, tenants }).flatMap(([key, list]) => (list === null ? [] : [[key, [...list]]]));
  return { name, ...Object.fromEntries(whom), ...withShadow(settings) };
}

function personalDocument({ actions, recognisers }: PersonalSettings): PersonalDocument {
  return {
    actions: { ...actions },
    recognisers: recognisers.map(({ name, pattern, ignoreCase, context, checksum }) => ({
      name,
      pattern,
      ignoreCase,
      context: [...context],
      ...(checksum === null ? {} : { checksum }),
    })),
  };
}
