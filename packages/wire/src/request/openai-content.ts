import type { Provenance } from '@sallyport/core';
import { boolean, type Check, either, label, list, string } from './check.ts';
import { type Members, object, required, tag, variants } from './object.ts';
import { base64, media, storedFile } from './reference.ts';
import { CACHED_MEDIA, EMBEDDED_PART, type RestrictedRule, STORED_FILE } from './restricted.ts';
import { anything } from './walk.ts';

/** Content parts of chat completions: OpenAI's, and those that vLLM, llama.cpp and SGLang add (audio and video by URL, embeddings). */

const MEDIA_NAMES = [
  'image_url',
  'audio_url',
  'video_url',
  'input_audio',
  'file',
  'image',
  'image_embeds',
  'audio_embeds',
  'video',
] as const;

/** Marks the value with `rule` before `check` reads it. */
export function restrictedBy(rule: RestrictedRule, check: Check): Check {
  return (value, at) => {
    at.restrict(rule);
    check(value, at);
  };
}

export const cacheControl: Check = object({ type: label, ttl: label });

/** A part of type `kind`; a member named after another medium is refused. */
function part(members: Members): Check {
  const foreign = MEDIA_NAMES.filter((name) => members[name] === undefined);
  return object({ type: tag, cache_control: cacheControl, uuid: restrictedBy(CACHED_MEDIA, label), ...members }, { foreign });
}

function mediaPart(name: string, kind: 'image' | 'audio' | 'video'): Check {
  const url = media(kind);
  const wrapped = object({ url: required(url), detail: label, format: label });
  return part({ [name]: either({ string: url, object: wrapped }), detail: label });
}

const inputFile = object({
  file_data: media('file', true),
  file_url: media('file'),
  file_id: storedFile('file'),
  filename: string('metadata', 1024),
});

const embeds = restrictedBy(EMBEDDED_PART, anything('metadata'));

/** The parts that may carry text of the given provenance. */
function parts(provenance: Provenance): Check {
  const text = part({ text: required(string(provenance)), annotations: anything('metadata') });
  return variants('type', {
    text,
    input_text: text,
    output_text: text,
    refusal: part({ refusal: required(string(provenance)) }),
    thinking: part({ thinking: required(either({ string: string(provenance), array: anything(provenance) })), closed: boolean }),
    image_url: mediaPart('image_url', 'image'),
    input_image: part({
      image_url: either({ string: media('image'), object: object({ url: required(media('image')), detail: label }) }),
      detail: label,
      file_id: storedFile('image'),
    }),
    audio_url: mediaPart('audio_url', 'audio'),
    video_url: mediaPart('video_url', 'video'),
    input_audio: part({ input_audio: required(object({ data: required(base64('audio')), format: label })) }),
    file: part({ file: required(inputFile) }),
    image_embeds: part({ image_embeds: embeds }),
    audio_embeds: part({ audio_embeds: embeds }),
  });
}

const CONTENTS = new Map<Provenance, Check>();

/** Content that is a string or a list of parts. */
export function content(provenance: Provenance): Check {
  let check = CONTENTS.get(provenance);
  if (check === undefined) {
    check = either({ string: string(provenance), array: list(parts(provenance)) });
    CONTENTS.set(provenance, check);
  }
  return check;
}

const toolCall = variants(
  'type',
  {
    function: object({
      id: label,
      type: tag,
      index: anything('metadata'),
      function: required(
        object({
          name: required(string('assistant', 256)),
          arguments: either({ string: string('assistant'), object: anything('assistant') }),
        }),
      ),
    }),
    custom: object({
      id: label,
      type: tag,
      custom: required(object({ name: required(string('assistant', 256)), input: required(string('assistant')) })),
    }),
  },
  { untagged: 'function' },
);

const reasoning = either({ string: string('assistant'), array: anything('assistant'), object: anything('assistant') });
const name = string('metadata', 256);

/** One message of a conversation. What it says is judged by who says it. */
export const chatMessage: Check = variants('role', {
  system: object({ role: tag, content: required(content('system')), name }),
  developer: object({ role: tag, content: required(content('system')), name }),
  user: object({ role: tag, content: required(content('user')), name }),
  assistant: object({
    role: tag,
    content: content('assistant'),
    name,
    refusal: string('assistant'),
    reasoning,
    reasoning_content: reasoning,
    reasoning_details: reasoning,
    annotations: anything('metadata'),
    thinking: reasoning,
    audio: object({ id: required(restrictedBy(STORED_FILE, label)) }),
    function_call: object({ name: required(string('assistant', 256)), arguments: required(string('assistant')) }),
    tool_calls: list(toolCall, { max: 1024 }),
  }),
  tool: object({ role: tag, content: required(content('untrusted')), tool_call_id: string('metadata', 1024), name }),
  function: object({ role: tag, content: required(either({ string: string('untrusted'), null: () => {} })), name: required(name) }),
});

/** Content that is only ever a string. */
export function textOrNull(provenance: Provenance): Check {
  return either({ string: string(provenance), null: () => {} });
}
