import type { Compiled } from './compiled.ts';
import type { Door } from './door.ts';
import type { Incoming } from './http/incoming.ts';
import { ExchangeRecord } from './record.ts';
import { admit, turnAway } from './stage/admit.ts';
import { answer } from './stage/answer.ts';
import { ask } from './stage/ask.ts';
import type { Admitted, Asked } from './stage/facts.ts';
import { forward } from './stage/forward.ts';
import { identify } from './stage/identify.ts';
import { inspect } from './stage/inspect.ts';
import { instruct } from './stage/instruct.ts';
import { permit } from './stage/permit.ts';
import { receive } from './stage/receive.ts';
import { refuse } from './stage/refuse.ts';
import { settle } from './stage/settle.ts';

/**
 * The straight line every request takes. Each stage adds one fact to what the stage before it found out and throws a `Fault` where the
 * request ends; the record and the reservation are closed on every path. Never rejects.
 */
export async function exchange(door: Door, compiled: Compiled, incoming: Incoming): Promise<void> {
  await using record = new ExchangeRecord(incoming, door.recorder);
  let asked: Asked | null = null;
  let admitted: Admitted | null = null;
  try {
    const received = receive(incoming, compiled);
    record.endpoint(received.endpoint.id, received.endpoint.action);

    const identified = await identify(received);
    record.identified(identified);
    if (identified.principal.credential.kind === 'api-key') door.keyUsed(identified.principal.credential.id);
    turnAway(identified);

    asked = await ask(identified);
    record.asked(asked);

    const permitted = permit(asked);
    record.decided(permitted.decision, compiled.policy);
    record.guardedBy(permitted.guarding.name);

    admitted = await admit(permitted);
    if (admitted.charge.origin === 'local') record.countedLocally();
    record.admitted();

    const cleared = await inspect(admitted, record.verdicts);
    const instructed = instruct(cleared, door);
    record.instructed(instructed.instruction);
    const begun = record.begin();
    if (begun !== null) await begun;
    using forwarded = await forward(instructed, door, record);
    const answered = await answer(forwarded, door, record);

    const usage = settle(answered);
    await record.conclude(answered.fault === null ? 'answered' : 'cut', answered.fault, usage);
    await answered.finish();
  } catch (error) {
    await refuse(error, {
      incoming,
      compiled,
      record,
      logger: door.logger,
      stream: asked?.request?.stream ?? false,
      model: asked?.model ?? null,
      charge: admitted?.charge ?? null,
      guarding: admitted?.guarding ?? null,
    });
  } finally {
    // Not earlier: a reservation that is let go can no longer be settled, and a refusal settles it too.
    admitted?.charge[Symbol.dispose]();
  }
}
