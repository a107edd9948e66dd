import { Fault, type Resource } from '@sallyport/core';

/** A verb that policy, tenancy or separation of duty refused. The ledger gets the rule, the client does not. */
export class Refusal extends Fault {
  override readonly name: string = 'Refusal';
  readonly rule: string;

  constructor(code: 'forbidden' | 'not_found', message: string, rule: string) {
    super(code, message, { detail: rule });
    this.rule = rule;
  }
}

export function forbidden(message: string, rule: string): Refusal {
  return new Refusal('forbidden', message, rule);
}

/** What another tenant owns does not exist for the actor: the same answer as for an id that was never given. */
export function absent(resource: Resource, rule: 'tenant' | 'absent'): Refusal {
  return new Refusal('not_found', `There is no such ${resource.kind}.`, rule);
}

export function invalid(param: string, message: string): Fault {
  return new Fault('invalid_request', message, { param });
}
