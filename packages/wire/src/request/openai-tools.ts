import { boolean, type Check, either, label, list, string } from './check.ts';
import { object, required, tag, variants } from './object.ts';
import { restrictedBy } from './openai-content.ts';
import { serverUrl } from './reference.ts';
import { CONSTRAINED_FORMAT, HOSTED_TOOL } from './restricted.ts';
import { anything, schema } from './walk.ts';

/** Definitions of tools and answer formats: shown to the model, written by the application or by a tool's author. */

const toolName = string('definition', 256);
const description = string('definition');

/** Name, description and parameters: the `function` of a tool, or an entry of the older `functions`. */
export const functionDefinition: Check = object({ name: required(toolName), description, parameters: schema, strict: boolean });

const grammar = object({
  type: label,
  grammar: object({ syntax: label, definition: description }),
  syntax: label,
  definition: description,
});

export const customTool: Check = object({ name: required(toolName), description, format: grammar });

/** Everything that is not run by the caller. Its strings are addressed, the server it names is a reference. */
const hostedTool: Check = restrictedBy(HOSTED_TOOL, object({ type: label, server_url: serverUrl }));

export const chatTools: Check = list(
  variants(
    'type',
    {
      function: object({ type: tag, function: required(functionDefinition) }),
      custom: object({ type: tag, custom: required(customTool) }),
    },
    { otherwise: hostedTool },
  ),
  { max: 1024 },
);

export const responsesTools: Check = list(
  variants(
    'type',
    {
      function: object({ type: tag, name: required(toolName), description, parameters: schema, strict: boolean, defer_loading: boolean }),
      custom: object({ type: tag, name: required(toolName), description, format: grammar, defer_loading: boolean }),
    },
    { otherwise: hostedTool },
  ),
  { max: 1024 },
);

/** `auto`, `none`, `required`, or an object that names tools. */
export const toolChoice: Check = either({ string: label, object: anything('definition') });

const jsonSchema = object({ name: toolName, description, schema, strict: boolean });
const constrained = restrictedBy(CONSTRAINED_FORMAT, anything('definition'));

export const responseFormat: Check = variants('type', {
  text: object({ type: tag }),
  json_object: object({ type: tag, schema, value: schema }),
  json_schema: object({ type: tag, json_schema: jsonSchema, schema, value: schema }),
  json: object({ type: tag, value: schema }),
  regex: constrained,
  grammar: constrained,
  structural_tag: constrained,
});

/** `text.format` of the Responses API: the same formats, written flat. */
export const textFormat: Check = variants('type', {
  text: object({ type: tag }),
  json_object: object({ type: tag }),
  json_schema: object({ type: tag, name: required(toolName), description, schema: required(schema), strict: boolean }),
  grammar: constrained,
});
