import { type AddressedText, Fault, type Finding, PASS, type Provenance, type TextEdit, type Verdict } from '@sallyport/core';
import { applyEdits, type Guard, Placeholders, SEAM_CHUNK, seamVerdicts, type TextContext, type WindowStep } from '@sallyport/guard';
import type { AllowedSink } from '../allowances.ts';
import { GreyBand } from '../classifier/grey-band.ts';
import type { Shadow, ShadowSink } from '../shadow.ts';
import type { Admitted, Cleared } from './facts.ts';
import { withRequested } from './requested.ts';

/** Told of what guards found, for the ledger and the counters. */
export interface FindingSink extends ShadowSink, AllowedSink {
  /** `provenance`: whose words it was in, null where they are the model's. The last before a block are those that were blocked. */
  found(findings: readonly Finding[], effect: Verdict['effect'], provenance?: Provenance | null): void;
}

/** UTF-16 units that are judged before others get a turn; a short text counts as at least `TEXT_COST`. Some milliseconds of work. */
const TURN = 64 * 1024;
const TEXT_COST = 512;

/**
 * Shows every text of the request to the guard. A block ends the exchange; redactions become edits of the body. Large requests give way to
 * others in between: what one caller sends must not stop the gateway for everybody.
 */
export async function inspect(admitted: Admitted, sink: FindingSink): Promise<Cleared> {
  const { request, guarding, compiled } = admitted;
  const { guard, shadow } = guarding;
  const grey =
    compiled.classifier === null || guarding.settings.mode === 'observe' ? null : new GreyBand(compiled.classifier, admitted.principal);
  const allowances = compiled.allowances.of(admitted.principal.tenant);
  const edits: { path: readonly (string | number)[]; value: string }[] = [];
  const placeholders = new Placeholders();
  if (guard.tokenises) for (const { text } of request?.texts ?? []) placeholders.reserve(text);
  /** Texts without an allowed injection: what an operator allows in one is not to be found again beside another. */
  const strict: AddressedText[] = [];
  let left = TURN;
  for (const text of request?.texts ?? []) {
    if (left <= 0) {
      await turn();
      left = TURN;
    }
    left -= Math.max(text.text.length, TEXT_COST);
    // Names are often the client's: one of a reply's kinds would be treated as such, and any would stay in memory as a key.
    const last = text.path[text.path.length - 1];
    const plain: TextContext = {
      stage: 'input',
      provenance: text.provenance,
      kind: last === 'arguments' ? last : null,
      tenant: admitted.principal.tenant,
      placeholders,
    };
    let isAllowed = false;
    let context = plain;
    if (allowances !== null) {
      const allowing: AllowedSink = {
        allowed: (found) => {
          isAllowed ||= found.some(({ detector }) => detector === 'injection');
          sink.allowed(found);
        },
      };
      context = { ...plain, allowed: allowances.in(text.text, compiled.clock.now(), allowing) };
    }
    if (shadow !== null) await inspectBeside(shadow, text.text, context, sink);
    const verdict = text.text.length <= TURN ? guard.inspect(text.text, context) : await inspectLong(guard, text.text, context);
    if (!isAllowed) strict.push(text);
    if (verdict.effect === 'pass') continue;
    sink.found(verdict.findings, verdict.effect, text.provenance);
    // A text that was decoded or put together from several places has no place where its edit could be made.
    if (blocks(verdict, admitted) || (verdict.effect === 'redact' && text.fixed === true)) {
      throw blocked(text.address, verdict.findings);
    }
    const second = grey === null ? null : await grey.judge(text.text, text.provenance, verdict);
    if (second !== null) {
      sink.found(second.findings, second.effect, text.provenance);
      if (second.blocks) throw blocked(text.address, second.findings);
    }
    if (verdict.effect === 'redact') edits.push({ path: text.path, value: applyEdits(text.text, verdict.edits) });
  }
  await inspectSeams(admitted, strict, sink);
  return { ...admitted, guarding: withRequested(admitted, sink), edits, placeholders };
}

/** Whose texts are read together where a model reads them one after the other. */
const SEWN: readonly Provenance[] = ['user', 'untrusted'];

/** Shows what several texts say together to the guard: an instruction may be split over messages or documents. */
async function inspectSeams(
  { guarding: { seams }, principal: { tenant } }: Admitted,
  texts: readonly AddressedText[],
  sink: FindingSink,
): Promise<void> {
  if (seams === null) return;
  for (const provenance of SEWN) {
    const own = texts.filter((text) => text.provenance === provenance && !isApart(text));
    let left = TURN;
    for (const verdict of seamVerdicts(
      seams,
      own.map(({ text }) => text),
      { stage: 'input', provenance, kind: null, tenant },
    )) {
      if (verdict !== null) {
        sink.found(verdict.findings, verdict.effect, provenance);
        if (verdict.effect === 'block') throw blocked(own[verdict.index]?.address ?? '', verdict.findings);
      }
      left -= SEAM_CHUNK;
      if (left > 0) continue;
      await turn();
      left = TURN;
    }
  }
}

/** A string of a list of strings: prompts that are answered one by one, texts to embed or to rank. No model reads them together. */
function isApart({ path }: AddressedText): boolean {
  return path.length === 2 && typeof path[1] === 'number';
}

function blocked(param: string, findings: readonly Finding[]): Fault {
  return new Fault('content_blocked', 'The request was blocked by a content policy.', { param, detail: detectors(findings) });
}

/** A long text in pieces, which by the guard's promise gives the same verdict as the whole. */
async function inspectLong(guard: Guard, text: string, context: TextContext): Promise<Verdict> {
  const window = guard.open(context);
  const findings: Finding[] = [];
  const edits: TextEdit[] = [];
  let unavailable = false;
  const take = (step: WindowStep): boolean => {
    findings.push(...step.findings);
    edits.push(...step.edits);
    unavailable ||= step.effect === 'unavailable';
    return step.effect === 'block';
  };
  for (let at = 0; at < text.length; at += TURN) {
    if (take(window.push(text.slice(at, at + TURN)))) return { effect: 'block', findings };
    await turn();
  }
  if (take(window.end())) return { effect: 'block', findings };
  if (unavailable) return { effect: 'unavailable', findings, reason: 'a detector could not judge the text' };
  if (findings.length === 0) return PASS;
  return edits.length > 0 ? { effect: 'redact', findings, edits } : { effect: 'flag', findings };
}

/** Shows a text to the candidate, in turns as `inspectLong` does. */
async function inspectBeside(shadow: Shadow, text: string, context: TextContext, sink: ShadowSink): Promise<void> {
  if (text.length <= TURN) {
    shadow.inspect(text, context, sink);
    return;
  }
  const window = shadow.open(context, sink);
  for (let at = 0; at < text.length; at += TURN) {
    window.push(text.slice(at, at + TURN));
    await turn();
  }
  window.end();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function blocks(verdict: Verdict, admitted: Admitted): boolean {
  return verdict.effect === 'block' || (verdict.effect === 'unavailable' && admitted.guarding.settings.onUnavailable === 'block');
}

/** Names of the detectors, for the operator. Findings never hold text. */
export function detectors(findings: readonly Finding[]): string {
  return [...new Set(findings.map((finding) => finding.detector))].join(', ');
}
