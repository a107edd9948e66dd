import type { Provenance } from '@sallyport/core';
import { boolean, type Check, either, label, list, oneOf, string } from './check.ts';
import { type Members, object, required, tag, variants } from './object.ts';
import { cacheControl, restrictedBy } from './openai-content.ts';
import { addDecoded, base64, media, storedFile } from './reference.ts';
import { HOSTED_ITEM } from './restricted.ts';
import { anything, anythingWithUrls } from './walk.ts';

/** Content blocks of the Messages API. A tool's results and documents are strangers' text, whoever sends them. */

function block(members: Members): Check {
  const foreign = members['source'] === undefined ? ['source'] : [];
  return object({ type: tag, cache_control: cacheControl, ...members }, { foreign });
}

const id = string('metadata', 1024);
const untrusted = string('untrusted');

function textBlock(provenance: Provenance): Check {
  return block({ text: required(string(provenance)), citations: anything('untrusted') });
}

const imageBlock = block({
  source: required(
    variants('type', {
      base64: object({ type: tag, media_type: label, data: required(base64('image')) }),
      url: object({ type: tag, url: required(media('image')) }),
      file: object({ type: tag, file_id: required(storedFile('image')) }),
    }),
  ),
});

/** An encoded document whose media type says it is text is read as text as well. */
const encodedDocument: Check = (value, at) => {
  object({ type: tag, media_type: label, data: required(base64('file')) })(value, at);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const { media_type: mediaType, data } = value;
  if (typeof mediaType === 'string' && mediaType.toLowerCase().startsWith('text/') && typeof data === 'string') addDecoded(data, at);
};

const documentBlock = block({
  source: required(
    variants('type', {
      base64: encodedDocument,
      text: object({ type: tag, media_type: label, data: required(untrusted) }),
      content: object({
        type: tag,
        content: required(
          either({ string: untrusted, array: list(variants('type', { text: textBlock('untrusted'), image: imageBlock })) }),
        ),
      }),
      url: object({ type: tag, url: required(media('file')) }),
      file: object({ type: tag, file_id: required(storedFile('file')) }),
    }),
  ),
  title: untrusted,
  context: untrusted,
  citations: object({ enabled: boolean }),
});

const searchResult = block({
  source: required(untrusted),
  title: required(untrusted),
  content: required(list(variants('type', { text: textBlock('untrusted') }))),
  citations: object({ enabled: boolean }),
});

const toolResult = block({
  tool_use_id: required(id),
  is_error: boolean,
  content: either({
    string: untrusted,
    array: list(
      variants('type', {
        text: textBlock('untrusted'),
        image: imageBlock,
        document: documentBlock,
        search_result: searchResult,
        tool_reference: block({ tool_name: required(string('definition', 256)) }),
      }),
    ),
  }),
});

const toolUse = block({
  id: required(id),
  name: required(string('assistant', 256)),
  input: required(anything('assistant')),
  caller: anything('metadata'),
});

/** Uses and results of tools that run on the upstream; what they hold came from outside. */
const hosted = restrictedBy(HOSTED_ITEM, anythingWithUrls('untrusted'));
const HOSTED_TYPES = [
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'mcp_tool_use',
  'mcp_tool_result',
] as const;

function blocks(provenance: Provenance): Check {
  return list(
    variants('type', {
      text: textBlock(provenance),
      image: imageBlock,
      document: documentBlock,
      search_result: searchResult,
      tool_use: toolUse,
      tool_result: toolResult,
      thinking: block({ thinking: required(string('assistant')), signature: string('metadata') }),
      redacted_thinking: block({ data: required(string('metadata')) }),
      compaction: block({ content: string('assistant'), encrypted_content: string('metadata') }),
      container_upload: block({ file_id: required(storedFile('file')) }),
      ...Object.fromEntries(HOSTED_TYPES.map((type) => [type, hosted])),
    }),
  );
}

const textOrBlocks = (provenance: Provenance): Check => either({ string: string(provenance), array: blocks(provenance) });

export const anthropicMessage: Check = variants('role', {
  user: object({ role: oneOf('user'), content: required(textOrBlocks('user')) }),
  assistant: object({ role: oneOf('assistant'), content: required(textOrBlocks('assistant')) }),
  system: object({ role: oneOf('system'), content: required(textOrBlocks('system')) }),
});

export const systemPrompt: Check = either({ string: string('system'), array: list(variants('type', { text: textBlock('system') })) });
