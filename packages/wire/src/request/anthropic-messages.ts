import { anthropicMessage, systemPrompt } from './anthropic-blocks.ts';
import { boolean, type Check, integer, LARGEST, label, list, modelName, number, string } from './check.ts';
import { type Members, object, required, tag, variants } from './object.ts';
import { cacheControl, restrictedBy } from './openai-content.ts';
import { outputCap, type RequestParser, requestParser } from './parser.ts';
import { serverUrl } from './reference.ts';
import { HOSTED_TOOL, rulesFor } from './restricted.ts';
import { anything, anythingWithUrls, schema } from './walk.ts';

const ownTool = object({
  type: tag,
  name: required(string('definition', 256)),
  description: string('definition'),
  input_schema: required(schema),
  input_examples: anything('definition'),
  strict: boolean,
  defer_loading: boolean,
  allowed_callers: list(label, { max: 64 }),
  cache_control: cacheControl,
});

/** Tools with a versioned type are the vendor's: run by the upstream, or defined by it in words the caller does not send. */
const vendorTool = restrictedBy(HOSTED_TOOL, anythingWithUrls('definition'));

const mcpServer: Check = object({
  type: label,
  name: string('definition', 256),
  url: required(serverUrl),
  authorization_token: string('metadata'),
  tool_configuration: anything('definition'),
});

const members: Members = {
  model: required(modelName),
  messages: required(list(anthropicMessage, { min: 1 })),
  system: systemPrompt,
  tools: list(variants('type', { custom: ownTool }, { untagged: 'custom', otherwise: vendorTool }), { max: 1024 }),
  tool_choice: object({ type: label, name: string('definition', 256), disable_parallel_tool_use: boolean }),
  thinking: object({ type: label, budget_tokens: integer(0, LARGEST), display: label }),
  mcp_servers: list(mcpServer, { max: 64 }),
  container: anything('metadata'),
  context_management: anything('metadata'),
  output_config: object({ effort: label, format: object({ type: label, schema }), task_budget: anything('metadata') }),
  output_format: object({ type: label, schema }),
  cache_control: cacheControl,
};

const generating: Members = {
  ...members,
  max_tokens: required(integer(0, LARGEST)),
  metadata: anything('metadata'),
  stop_sequences: list(string('metadata'), { max: 1024 }),
  stream: boolean,
  temperature: number(0, 1),
  top_p: number(0, 1),
  top_k: integer(-1, 1_000_000),
  service_tier: label,
  speed: label,
  inference_geo: label,
  n_predict: integer(-2, LARGEST),
};

/** `POST /v1/messages`. */
export const parseMessages: RequestParser = requestParser({
  body: object(generating, { rules: rulesFor('anthropic.messages') }),
  streams: false,
  bounds: (request) => ({ maxOutputTokens: outputCap(request, ['max_tokens'], 'n_predict'), choices: 1 }),
});

/** `POST /v1/messages/count_tokens`: the same conversation, of which nothing is generated. Clients send the whole body at times. */
export const parseCountTokens: RequestParser = requestParser({
  body: object({ ...generating, max_tokens: integer(0, LARGEST) }, { rules: rulesFor('anthropic.count-tokens') }),
  streams: false,
});
