import { classifyHost, refusal } from '@sallyport/access';
import { type Action, type Decision, Fault, type Resource, type Route, type Snapshot } from '@sallyport/core';
import type { Asked, Destination, Permitted } from './facts.ts';

/** Decides the call itself, every restricted field in it and every place it may go. Denied unless a rule permits. */
export function permit(asked: Asked): Permitted {
  const { endpoint, model } = asked;
  const decision = demand(asked, endpoint.action, model);
  // A copy's destination and a creation's base are models too: who may not use them may not write or read them this way.
  for (const other of asked.request?.otherModels ?? []) demand(asked, endpoint.action, other);
  checkRestrictedFields(asked);
  checkReferences(asked);
  // Without a reply format the answer is Sallyport's own (model lists): nothing goes anywhere.
  const destinations = endpoint.reply === null ? [] : findDestinations(asked);
  const { tenant, roles } = asked.principal;
  const guarding = asked.compiled.guards.choose({ tenant, roles, model, endpoint: endpoint.id });
  return { ...asked, decision, destinations, guarding };
}

/** The permission, or the refusal as a fault. */
function demand(asked: Asked, action: Action, model: string | null): Decision {
  const decision = decide(asked, action, model);
  if (decision.effect === 'permit') return decision;
  asked.compiled.meter.authorisationDenial(action);
  throw refusal(decision, action);
}

function decide({ compiled, principal, incoming }: Asked, action: Action, model: string | null): Decision {
  const resource: Resource = { kind: 'model', name: model ?? '*' };
  return compiled.policy.decide(principal, action, resource, { now: compiled.clock.now(), ip: incoming.source.ip });
}

function checkRestrictedFields(asked: Asked): void {
  for (const field of asked.request?.restricted ?? []) {
    const decision = decide(asked, field.action, asked.model);
    if (decision.effect === 'permit') continue;
    asked.compiled.meter.authorisationDenial(field.action);
    throw new Fault('forbidden', `The field ${field.address} needs the permission ${field.action}.`, {
      param: field.address,
      detail: decision.rule,
    });
  }
}

/** The gateway fetches no reference, but the model's server might: public ones need a permission, private ones another (SSRF). */
function checkReferences(asked: Asked): void {
  for (const reference of asked.request?.references ?? []) {
    if (reference.source !== 'remote' || reference.url === null) continue;
    const host = classifyHost(reference.url);
    if (host === 'invalid') {
      throw new Fault('invalid_request', `The reference at ${reference.address} is not an http or https URL.`, {
        param: reference.address,
      });
    }
    const action = referenceAction(host);
    const decision = decide(asked, action, asked.model);
    if (decision.effect === 'permit') continue;
    asked.compiled.meter.authorisationDenial(action);
    const what = host === 'private' ? 'a private address' : 'an outside address';
    throw new Fault('forbidden', `The reference at ${reference.address} points to ${what} and needs the permission ${action}.`, {
      param: reference.address,
      detail: decision.rule,
    });
  }
}

function findDestinations(asked: Asked): Destination[] {
  const { snapshot, model } = asked;
  const first = model === null ? undefined : snapshot.routes.get(model);
  if (first === undefined) return [manageDestination(asked)];
  const destinations: Destination[] = [];
  for (const name of [first.name, ...first.fallback]) {
    const route = snapshot.routes.get(name);
    // A fallback is a model like any other: who may not ask for it does not get it by another's failure.
    if (route === undefined || !mayTake(asked, name)) continue;
    for (const upstream of [route.upstream, ...route.replicas]) {
      const destination = resolve(snapshot, route, upstream);
      if (destination !== null) destinations.push(destination);
    }
  }
  if (destinations.length === 0) {
    throw new Fault('upstream_unavailable', 'The model is not available at the moment.', { detail: 'no destination' });
  }
  return destinations;
}

/** Whether a fallback may have the request as it is: the call, its restricted fields and its references. */
function mayTake(asked: Asked, name: string): boolean {
  const permits = (action: Action): boolean => decide(asked, action, name).effect === 'permit';
  if (!permits(asked.endpoint.action)) return false;
  if (asked.request === null) return true;
  return (
    asked.request.restricted.every(({ action }) => permits(action)) &&
    asked.request.references.every(({ source, url }) => source !== 'remote' || url === null || permits(referenceAction(classifyHost(url))))
  );
}

function referenceAction(host: ReturnType<typeof classifyHost>): Action {
  return host === 'private' ? 'feature.private-references' : 'feature.references';
}

function resolve(snapshot: Snapshot, route: Route, name: string): Destination | null {
  const upstream = snapshot.upstreams.get(name);
  return upstream === undefined ? null : { route, upstream };
}

/**
 * Model management names models of the server itself, which need no route yet. With exactly one Ollama server it is clear which one is
 * meant; otherwise the name must be a route's.
 */
function manageDestination(asked: Asked): Destination {
  const servers = [...asked.snapshot.upstreams.values()].filter((upstream) => upstream.kind === 'ollama');
  const [upstream] = servers;
  if (asked.endpoint.action !== 'model.manage' || upstream === undefined || servers.length > 1 || asked.model === null) {
    throw new Fault('model_not_found', 'There is no such model.', { param: 'model' });
  }
  const route = { name: asked.model, upstream: upstream.name, target: asked.model, fallback: [], replicas: [], fallbackAnswer: null };
  return { route, upstream };
}
