import type { Action, Resource } from '@sallyport/core';
import type { Page, User } from '@sallyport/store';
import { AllowanceService } from './allowances.ts';
import { Desk } from './desk.ts';
import { INSTALLATION_SETTING, initialise } from './init.ts';
import { KeyService } from './keys.ts';
import { LimitService } from './limits.ts';
import { PolicyService } from './policy.ts';
import type { Actor, ServicePorts } from './ports.ts';
import type { PromptCheck } from './prompt-check.ts';
import { PromptService } from './prompts.ts';
import { RoleService } from './roles.ts';
import { UserService } from './users.ts';
import type {
  AllowanceView,
  DisabledUser,
  Explanation,
  Installation,
  IssuedKey,
  KeyListQuery,
  KeyView,
  LimitReset,
  LimitSelection,
  LimitUse,
  ListQuery,
  NewAllowance,
  NewInstallation,
  NewKey,
  NewRole,
  NewUser,
  PromptText,
  PromptView,
  Question,
  RoleView,
  Rotation,
} from './views.ts';

const MIN_PEPPER_BYTES = 32;

/**
 * The verbs of the control plane, whoever calls them: HTTP, command line, console. Each decides first whether `actor` may, and a
 * change is in the ledger before it is acknowledged. All throw `Fault`: `forbidden`, `not_found` (also for what another tenant owns),
 * `invalid_request` naming the field, `conflict`, `not_ready` while the database is away.
 */
export interface ControlService {
  readonly keys: KeyVerbs;
  readonly users: UserVerbs;
  readonly roles: RoleVerbs;
  readonly policy: PolicyVerbs;
  readonly prompts: PromptVerbs;
  readonly allowances: AllowanceVerbs;
  readonly limits: LimitVerbs;
  /**
   * Passes where `actor` may, else throws `forbidden` and records it. For what has no verb of its own (status, metrics), and for refusing
   * a caller before anything else of a request is looked at; the verbs decide again.
   */
  authorise(actor: Actor, action: Action, resource: Resource): Promise<void>;
  /** Makes the installation id, the owner, the owner's key and a first inference key, once. Throws `conflict` where that was done. */
  init(installation: NewInstallation): Promise<Installation>;
  /** Whether `init` was done. */
  initialised(): Promise<boolean>;
}

export interface KeyVerbs {
  create(actor: Actor, key: NewKey): Promise<IssuedKey>;
  list(actor: Actor, query: KeyListQuery): Promise<Page<KeyView>>;
  show(actor: Actor, id: string): Promise<KeyView>;
  /** Ending an ended key is not an error: the first revocation stands. */
  revoke(actor: Actor, id: string, reason: string | null): Promise<KeyView>;
  rotate(actor: Actor, id: string, rotation: Rotation): Promise<IssuedKey>;
}

export interface UserVerbs {
  create(actor: Actor, user: NewUser): Promise<User>;
  list(actor: Actor, query: ListQuery): Promise<Page<User>>;
  show(actor: Actor, id: string): Promise<User>;
  /** Ends the user's keys too. */
  disable(actor: Actor, id: string): Promise<DisabledUser>;
}

export interface RoleVerbs {
  list(actor: Actor): Promise<readonly RoleView[]>;
  create(actor: Actor, role: NewRole): Promise<RoleView>;
  delete(actor: Actor, name: string): Promise<void>;
}

export interface PolicyVerbs {
  explain(actor: Actor, question: Question): Promise<Explanation>;
}

export interface AllowanceVerbs {
  /** Allows what a detector finds in a text; one for each finding that differs. The text is kept nowhere. */
  allow(actor: Actor, wanted: NewAllowance): Promise<readonly AllowanceView[]>;
  /** Of one tenant, or of every one the actor sees; the newest first. */
  list(actor: Actor, tenant: string | null): Promise<readonly AllowanceView[]>;
  /** Taking back what was taken back is not an error. */
  revoke(actor: Actor, id: string): Promise<AllowanceView>;
}

export interface PromptVerbs {
  /** Adds a version, unless the newest has these very words. */
  put(actor: Actor, name: string, text: string): Promise<PromptView>;
  /** The newest version of each. */
  list(actor: Actor): Promise<readonly PromptView[]>;
  /** Every version, newest first. */
  history(actor: Actor, name: string): Promise<readonly PromptView[]>;
  /** The words of a version, or of the newest. */
  show(actor: Actor, name: string, version: number | null): Promise<PromptText>;
  check(actor: Actor, name: string, version: number | null): Promise<PromptCheck>;
}

export interface LimitVerbs {
  /** How the windows of whom the selection names stand; requests go on meanwhile. */
  show(actor: Actor, selection: LimitSelection): Promise<readonly LimitUse[]>;
  /** Empties the one bucket of the limit called `name` that the selection means. The ledger has it, with what was used, before it is done. */
  reset(actor: Actor, name: string, selection: LimitSelection): Promise<LimitReset>;
}

/** Puts the verbs together over their ports. Throws `RangeError` for a pepper of less than 32 bytes. */
export function createControlService(ports: ServicePorts): ControlService {
  if (ports.pepper.type !== 'secret' || (ports.pepper.symmetricKeySize ?? 0) < MIN_PEPPER_BYTES) {
    throw new RangeError(`The pepper must be a secret key of at least ${MIN_PEPPER_BYTES} bytes.`);
  }
  const desk = new Desk(ports);
  return {
    keys: new KeyService(desk),
    users: new UserService(desk),
    roles: new RoleService(desk),
    policy: new PolicyService(desk),
    prompts: new PromptService(desk),
    allowances: new AllowanceService(desk),
    limits: new LimitService(desk),
    authorise: (actor, action, resource) => desk.authorise(actor, action, resource),
    init: (installation) => initialise(desk, installation),
    initialised: async () => (await ports.store.settings.get(INSTALLATION_SETTING)) !== null,
  };
}
