import type { Reply } from '../http/reply.ts';

/** What `promise` gives, unless the exchange ends before: rejects with why it did then, and `late` is given what comes after all. */
export function unlessGone<T>(reply: Pick<Reply, 'onGone'>, promise: Promise<T>, late: (value: T) => void = () => undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    let waits = true;
    const forget = reply.onGone((why) => {
      waits = false;
      reject(why);
    });
    promise.then(
      (value) => {
        forget();
        if (waits) resolve(value);
        else late(value);
      },
      (error: unknown) => {
        forget();
        reject(error);
      },
    );
  });
}
