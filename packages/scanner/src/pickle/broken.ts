/** Where the stream stops being pickle. No `Error`: a search ends in thousands of these, and each stack trace would cost more than the walk. */
export class Broken {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

export const BEYOND = 'an argument reaches beyond the end';
