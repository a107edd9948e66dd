import type { JsonObject, JsonValue } from '../json/document.ts';
import { boolean, type Check, either, label, list, modelName, string } from './check.ts';
import { type Members, object, required } from './object.ts';
import { ollamaMessage, options } from './ollama-chat.ts';
import { type RequestParser, requestParser, stringField } from './parser.ts';
import type { Reading } from './reading.ts';
import { INSECURE_TRANSFER, rulesFor } from './restricted.ts';
import { anything } from './walk.ts';

/** The verbs that show and manage models. `name` is the older word for `model`; where both are given they must agree. */

/** Checks the body and that it names a model, under either name. */
function naming(members: Members, rules = rulesFor('ollama.pull')): Check {
  const check = object({ model: emptyOr(modelName), name: emptyOr(modelName), ...members }, { rules });
  return (value, at) => {
    check(value, at);
    const body = value as JsonObject;
    const { model, name } = body;
    if (given(model) && given(name) && model !== name) {
      at.path.push('name');
      return at.refuse('must be the same as model, or left out');
    }
    if (!given(model) && !given(name)) {
      at.path.push('model');
      return at.refuse('is required');
    }
  };
}

function given(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null && value !== '';
}

/** Go clients send empty strings for what they leave out. */
function emptyOr(check: Check): Check {
  return (value, at) => {
    if (value !== '') check(value, at);
  };
}

const modelField = (body: JsonObject): string => (given(body['model']) ? 'model' : 'name');

/**
 * A name such as `registry.example.com/team/model` or `hf.co/org/model` makes the inference server talk to that host. Only names
 * without a host stay with the server's own registry.
 */
function noteRegistry(name: string, at: Reading): void {
  const url = /^https?:\/\//i.test(name);
  const segments = name.split('/');
  const host = segments[0] ?? '';
  if (url) at.addReference('server', 'remote', name);
  else if (segments.length > 2 || (segments.length === 2 && /[.:]/.test(host))) at.addReference('server', 'remote', `https://${host}/`);
}

function transfer(): Check {
  const check = naming({ insecure, username: string('metadata', 1024), password: string('metadata', 1024), stream: boolean });
  return (value, at) => {
    check(value, at);
    const field = modelField(value as JsonObject);
    at.path.push(field);
    noteRegistry(stringField(value as JsonObject, field), at);
    at.path.pop();
  };
}

const insecure: Check = (value, at) => {
  boolean(value, at);
  if (value === true) at.restrict(INSECURE_TRANSFER);
};

/** `POST /api/pull`: the inference server downloads a model. Streams its progress unless told otherwise. */
export const parsePull: RequestParser = requestParser({ body: transfer(), modelField, streams: true });

/** `POST /api/push`: the inference server uploads a model. */
export const parsePush: RequestParser = requestParser({ body: transfer(), modelField, streams: true });

/** `POST /api/show`. */
export const parseShow: RequestParser = requestParser({
  body: naming(
    { verbose: boolean, system: string('system'), template: string('system'), options: anything('metadata') },
    rulesFor('ollama.show'),
  ),
  modelField,
  streams: false,
});

/** `DELETE /api/delete`. */
export const parseDelete: RequestParser = requestParser({ body: naming({}), modelField, streams: false });

const copy = object({ source: required(modelName), destination: required(modelName) });

/** `POST /api/copy`. Both names count: the source is read, the destination overwritten. */
export const parseCopy: RequestParser = requestParser({
  body: copy,
  modelField: () => 'source',
  otherModels: (body) => [stringField(body, 'destination')],
  streams: false,
});

const create = naming(
  {
    from: emptyOr(modelName),
    files: anything('metadata'),
    adapters: anything('metadata'),
    template: string('system'),
    license: either({ string: string('metadata'), array: list(string('metadata')) }),
    system: string('system'),
    parameters: object({ ...options }),
    messages: list(ollamaMessage),
    quantize: label,
    quantization: label,
    modelfile: string('system'),
    path: string('metadata', 4096),
    stream: boolean,
    renderer: label,
    parser: label,
    requires: label,
    info: anything('metadata'),
  },
  rulesFor('ollama.create'),
);

/** `POST /api/create`: a new model from one that is there, from uploaded files, or an alias. */
export const parseCreate: RequestParser = requestParser({
  body: (value, at) => {
    create(value, at);
    at.path.push('from');
    noteRegistry(stringField(value as JsonObject, 'from'), at);
    at.path.pop();
  },
  modelField,
  otherModels: (body) => [stringField(body, 'from')].filter((name) => name !== ''),
  streams: true,
});
