import { STATUS_CODES } from 'node:http';
import type { Fault } from '@sallyport/core';
import Type from 'typebox';

/** An error answer: RFC 9457 problem details with our stable `code`. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** The field at fault, as the client wrote it. */
  readonly param?: string;
  readonly requestId: string;
}

export const ProblemSchema: Type.TObject = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String({ description: 'The phrase of the HTTP status.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong and what to do about it, for people.' }),
    code: Type.String({ description: 'Stable, for programs; listed in docs/api.md.' }),
    param: Type.Optional(Type.String({ description: 'The field at fault.' })),
    requestId: Type.String({ description: 'Also in the x-request-id header, the log and the ledger.' }),
  },
  { additionalProperties: false },
);

export const PROBLEM_TYPE = 'application/problem+json';

/** Only what a client may read: never `detail` or `cause` of the fault. */
export function problemOf(fault: Fault, requestId: string): Problem {
  return {
    type: 'about:blank',
    title: STATUS_CODES[fault.status] ?? 'Error',
    status: fault.status,
    detail: fault.message,
    code: fault.code,
    ...(fault.param === null ? {} : { param: fault.param }),
    requestId,
  };
}
