import { Fault } from '@sallyport/core';

/** A place in a list ordered by (time, id), newest first. */
export interface Position {
  readonly time: number;
  readonly id: string;
}

const FORM = /^([0-9]{1,16})\.([A-Za-z0-9_-]{1,64})$/;

export function encodeCursor(position: Position): string {
  return Buffer.from(`${position.time}.${position.id}`).toString('base64url');
}

/** Client's data. It only says where to go on: what may be seen is decided by the query, not by the cursor. Throws `invalid_request`. */
export function decodeCursor(cursor: string): Position {
  const match = cursor.length <= 128 ? FORM.exec(Buffer.from(cursor, 'base64url').toString('latin1')) : null;
  const [, time, id] = match ?? [];
  if (time === undefined || id === undefined) {
    throw new Fault('invalid_request', 'The cursor is not one that a list returned. Start again without it.', { param: 'cursor' });
  }
  return { time: Number(time), id };
}
