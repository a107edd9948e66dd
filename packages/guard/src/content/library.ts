import { createRequire } from 'node:module';
import { type ContentHead, type ContentModel, decodeModel } from './model.ts';

const load = createRequire(import.meta.url);
/** In the bundle the weights are a file of their own (tools/bundle.mjs): few configurations name the detector, and every start would pay for them. */
const EXTENSION: string = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';

const models = new Map<ContentHead, ContentModel>();

/** The trained classifier for texts of a kind, loaded when first asked for. */
export function contentModel(head: ContentHead): ContentModel {
  let model = models.get(head);
  if (model === undefined) {
    const { CONTENT_HEADS } = load(`./content-weights.${EXTENSION}`) as typeof import('./content-weights.ts');
    model = decodeModel(CONTENT_HEADS[head]);
    models.set(head, model);
  }
  return model;
}
