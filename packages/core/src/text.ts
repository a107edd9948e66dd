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
}
