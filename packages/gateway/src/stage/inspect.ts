import { Fault, type Finding, type TextEdit, type Verdict } from '@sallyport/core';
import type { Admitted, Cleared } from './facts.ts';

/** Told of what guards found, for the ledger and the counters. */
export interface FindingSink {
  found(findings: readonly Finding[], effect: Verdict['effect']): void;
}

/** Shows every text of the request to the guard. A block ends the exchange; redactions become edits of the body. */
export function inspect(admitted: Admitted, sink: FindingSink): Cleared {
  const { request, compiled } = admitted;
  const edits: { path: readonly (string | number)[]; value: string }[] = [];
  for (const text of request?.texts ?? []) {
    const last = text.path[text.path.length - 1];
    const verdict = compiled.guard.inspect(text.text, {
      stage: 'input',
      provenance: text.provenance,
      kind: typeof last === 'string' ? last : null,
    });
    if (verdict.effect === 'pass') continue;
    sink.found(verdict.findings, verdict.effect);
    // A text that was decoded or put together from several places has no place where its edit could be made.
    if (blocks(verdict, admitted) || (verdict.effect === 'redact' && text.fixed === true)) {
      throw new Fault('content_blocked', 'The request was blocked by a content policy.', {
        param: text.address,
        detail: detectors(verdict.findings),
      });
    }
    if (verdict.effect === 'redact') edits.push({ path: text.path, value: applyEdits(text.text, verdict.edits) });
  }
  return { ...admitted, edits };
}

function blocks(verdict: Verdict, admitted: Admitted): boolean {
  return verdict.effect === 'block' || (verdict.effect === 'unavailable' && admitted.snapshot.guard.onUnavailable === 'block');
}

/** `text` with its edits (in order, not overlapping) made. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let result = '';
  let from = 0;
  for (const edit of edits) {
    result += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return result + text.slice(from);
}

/** Names of the detectors, for the operator. Findings never hold text. */
export function detectors(findings: readonly Finding[]): string {
  return [...new Set(findings.map((finding) => finding.detector))].join(', ');
}
