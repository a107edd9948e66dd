import type { JsonObject } from '../json/document.ts';
import { Members } from './members.ts';

/**
 * Ollama `POST /api/show` for a model whose server has no such description. It holds what is known for certain: that there is a model of
 * this name and that it completes text. Throws `Fault('invalid_request')` for fields that would change a description. `modified` is in
 * epoch milliseconds.
 */
export function composeShow(request: JsonObject, modified: number): string {
  const body = new Members(request).ignore('model', 'name', 'verbose', 'keep_alive');
  for (const name of ['system', 'template']) if ((body.string(name) ?? '') !== '') body.refuse(name);
  body.ignore('options').done();
  return JSON.stringify({
    license: '',
    modelfile: '',
    parameters: '',
    template: '',
    details: { parent_model: '', format: '', family: '', families: [], parameter_size: '', quantization_level: '' },
    model_info: {},
    capabilities: ['completion'],
    modified_at: new Date(modified).toISOString(),
  });
}
