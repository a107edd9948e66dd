import type { Form } from './destination.ts';

/** `srcset`, `style`, `refresh` or `document` where a value holds addresses among other things. */
export type Holder = 'srcset' | 'style' | 'refresh' | 'document';

export interface Attribute {
  readonly form: Form;
  readonly holder: Holder | null;
}

const LOADS: ReadonlySet<string> = new Set(['src', 'background', 'poster', 'lowsrc', 'dynsrc', 'icon', 'ping', 'xlink:href']);
const ACTS: ReadonlySet<string> = new Set(['action', 'formaction', 'codebase', 'archive', 'manifest', 'classid']);
/** Elements that run what they fetch, or that turn every other address of the page. What is shown in a frame is judged as a picture is. */
const ACTIVE: ReadonlySet<string> = new Set(['object', 'embed', 'applet', 'script', 'portal', 'base']);
/** Elements whose `href` is fetched without a click. */
const FETCHING: ReadonlySet<string> = new Set(['link', 'image', 'use', 'feimage', 'pattern', 'script']);

/** What an HTML attribute does with its value, or null where it holds no address. Names in lower case; `tag` is empty where it is not known. */
export function attributeOf(name: string, tag: string): Attribute | null {
  if (name === 'href') return { form: ACTIVE.has(tag) ? 'active' : FETCHING.has(tag) ? 'image' : 'link', holder: null };
  if (LOADS.has(name)) return { form: ACTIVE.has(tag) ? 'active' : 'image', holder: null };
  if (ACTS.has(name) || (name === 'data' && tag === 'object')) return { form: 'active', holder: null };
  if (name === 'srcset' || name === 'imagesrcset') return { form: 'image', holder: 'srcset' };
  if (name === 'style') return { form: 'image', holder: 'style' };
  if (name === 'content' && tag === 'meta') return { form: 'active', holder: 'refresh' };
  if (name === 'srcdoc' || (tag !== '' && /^on[a-z]{3,}$/.test(name))) return { form: 'active', holder: 'document' };
  return null;
}
