import type { ClassifierSettings } from '@sallyport/core';
import type { ClassifierDocument } from './document.ts';
import type { Path } from './problem.ts';
import { type Reading, readDuration, readReference } from './reading.ts';

/** The classifier that is asked about what is suspicious; the shape was checked. */
export function readClassifier(document: ClassifierDocument, path: Path, reading: Reading): ClassifierSettings {
  const { kind, url, model, instructions, credential, timeout, threshold, maxConcurrency, remember, onUnavailable } = document;
  const target = URL.parse(url);
  if (target === null || target.username !== '' || target.password !== '') {
    reading.findings.problem(
      [...path, 'url'],
      'the whole URL of an endpoint, without credentials',
      'another',
      'http://guard:8000/v1/chat/completions',
    );
  }
  if (kind === 'chat' && model === undefined) {
    reading.findings.problem([...path, 'model'], "the classifier's name of its model", 'nothing', 'kind: chat asks a model by name');
  }
  if (kind === 'score' && (model !== undefined || instructions !== undefined)) {
    reading.findings.problem(
      [...path, model === undefined ? 'instructions' : 'model'],
      'nothing, beside kind: score',
      'a text',
      'remove it',
    );
  }
  if (kind === 'chat' && threshold !== undefined) {
    reading.findings.problem(
      [...path, 'threshold'],
      'nothing, beside kind: chat, which answers with a label',
      String(threshold),
      'remove it',
    );
  }
  return {
    kind,
    url,
    model: model ?? null,
    instructions: instructions ?? null,
    credential: readReference(credential, reading),
    timeout: readDuration(timeout, 2_000, [50, 30_000], [...path, 'timeout'], reading),
    threshold: threshold ?? 0.5,
    maxConcurrency: maxConcurrency ?? 8,
    remember: readDuration(remember, 600_000, [1_000, 86_400_000], [...path, 'remember'], reading),
    onUnavailable: onUnavailable ?? 'block',
  };
}
