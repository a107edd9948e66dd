import { readdirSync, readFileSync } from 'node:fs';
import type { EndpointId, JsonValue } from '@sallyport/wire';

/** What is accepted and refused at one endpoint, with what must be found in it (`testdata/request/{endpoint}.json`). */
export interface Vectors {
  readonly endpoint: EndpointId;
  readonly accept: readonly Accepted[];
  readonly refuse: readonly Refused[];
}

export interface Accepted {
  readonly name: string;
  readonly body: JsonValue;
  readonly model?: string;
  readonly modelPath?: readonly string[];
  readonly otherModels?: readonly string[];
  readonly stream?: boolean;
  /** Cap on the output, and how many choices. */
  readonly bounds?: readonly [number | null, number];
  /** Address, provenance, text, and `fixed` where it cannot be rewritten. */
  readonly texts?: readonly (readonly string[])[];
  readonly references?: readonly (readonly (string | null)[])[];
  /** Address and permission. */
  readonly restricted?: readonly (readonly string[])[];
}

export interface Refused {
  readonly name: string;
  readonly body: JsonValue;
  readonly param: string | null;
}

export function readVectors(): Vectors[] {
  const directory = new URL('testdata/request/', import.meta.url);
  return readdirSync(directory).map((file) => JSON.parse(readFileSync(new URL(file, directory), 'utf8')));
}
