import type { UpstreamKind } from '@sallyport/core';
import type { EndpointId } from '@sallyport/wire';

const OPENAI_CORE: readonly EndpointId[] = ['openai.chat', 'openai.completions'];
const OPENAI_FULL: readonly EndpointId[] = [...OPENAI_CORE, 'openai.responses', 'openai.embeddings', 'openai.rerank'];
const ANTHROPIC: readonly EndpointId[] = ['anthropic.messages', 'anthropic.count-tokens'];
const OLLAMA: readonly EndpointId[] = [
  'ollama.chat',
  'ollama.generate',
  'ollama.embed',
  'ollama.embeddings',
  'ollama.show',
  'ollama.pull',
  'ollama.push',
  'ollama.create',
  'ollama.copy',
  'ollama.delete',
];

/**
 * What each kind of server answers itself; those requests pass through byte for byte. Everything else is translated where a translation
 * exists (wire) and refused where none does. As of 2026: Ollama 0.14, vLLM 0.13, llama.cpp b7200, TGI 3.
 */
const NATIVE: Readonly<Record<UpstreamKind, ReadonlySet<EndpointId>>> = {
  ollama: new Set([...OLLAMA, ...OPENAI_CORE, 'openai.responses', 'openai.embeddings', 'anthropic.messages']),
  vllm: new Set([...OPENAI_FULL, ...ANTHROPIC]),
  llamacpp: new Set([...OPENAI_FULL, ...ANTHROPIC]),
  tgi: new Set(OPENAI_CORE),
  openai: new Set(OPENAI_FULL),
  anthropic: new Set(ANTHROPIC),
  demo: new Set(),
};

export function isNative(kind: UpstreamKind, endpoint: EndpointId): boolean {
  return NATIVE[kind].has(endpoint);
}
