export { narrowKey } from './effective.ts';
export { checkPepper, WrongPepper } from './init.ts';
export {
  type Actor,
  DEFAULT_TENANT,
  KEY_LIFETIME,
  type KeyLifetime,
  type LimitCounts,
  localActor,
  type RecordEntry,
  type ServicePorts,
} from './ports.ts';
export { checkPrompt, type PromptCheck, type PromptFinding } from './prompt-check.ts';
export { PROBES } from './prompt-probes.ts';
export {
  type ControlService,
  createControlService,
  type KeyVerbs,
  type LimitVerbs,
  type PolicyVerbs,
  type PromptVerbs,
  type RoleVerbs,
  type UserVerbs,
} from './service.ts';
export * from './views.ts';
