/**
 * Who wrote a text, as far as the protocol tells. Guards judge a user's words and a stranger's document differently.
 * - `user`: what the caller says · `system`: instructions of the application · `assistant`: earlier or new model output
 * - `untrusted`: tool results, retrieved documents and the like · `definition`: tool, schema and function descriptions
 * - `metadata`: fields that are not shown to the model by contract but may reach it or a log
 */
export type Provenance = 'user' | 'system' | 'assistant' | 'untrusted' | 'definition' | 'metadata';

/** A piece of text of a request, with its address. `address` is the JSON path as the client wrote it: `messages[0].content[1].text`. */
export interface AddressedText {
  readonly address: string;
  readonly path: readonly (string | number)[];
  readonly provenance: Provenance;
  readonly text: string;
  /**
   * True where the text is not the value at `path` itself and so can be judged but not rewritten in place: the member names of an
   * object a client is free to name (joined by line feeds), or the text of an encoded document. A verdict that would redact it must
   * block instead.
   */
  readonly fixed?: true;
}
