import { hash } from 'node:crypto';

/**
 * Values that have the form of a credential and are none: keys that vendors print in their documentation, ship in their samples and
 * emulators, or that everybody's copy of an open program holds (Google's, as gitleaks lists them). Kept as the first 12 bytes of their
 * SHA-256, so that no scanner of this repository takes the list for a leak.
 */
const PUBLISHED: ReadonlySet<string> = new Set([
  // Azure Storage emulator
  '0011cc25eb4320717494d270',
  '900e6c2bf8ce6c14dbfdcbd6',
  // Azure Cosmos DB emulator
  'aa6547439583c3a275d4542a',
  'a28c56ecb012bfd03019be85',
  // Stripe documentation
  '2cafc0970149a84f3b9e62ea',
  'f2d6ca16515033e5dce14eba',
  // jwt.io
  '7f75367e7881255134e1375e',
  // NuGet documentation
  'dba72c00f41f4e4c435e2491',
  'a0702bc91d699f600970f4dc',
  // GitHub documentation
  '3543c50b0cb9cea8e55eb1f5',
  // Google: Chromium, Android and Firebase samples
  'f56e323494a6ffc2064e7a95',
  '2037abcaffb2b77785da716c',
  '3f370c9dd8225c63b5c77de1',
  'e4a5542bb7fd7b67e943c71a',
  'a19f89ab3555eac10c40741f',
  'eb540d2b6ee2a0a47c5779bc',
  '37f8f09bdf12c2f2eae4ead7',
  '8731261cb72d86267a32a532',
  '49f777db995e8260da7ca9ff',
  '27a9a42931dff7eb2f8434e2',
  'dc0fcf046c61640cbd1e8b99',
  '4c98242dcadc8b29005c6b4a',
  'ea9bb1082cf95663f5faca23',
  '3a8b61d0f636b007840c0d40',
  'a6c814bc555ae62c7bd8b58e',
]);

/** Whether a value is known to be public. */
export function isPublished(value: string): boolean {
  return PUBLISHED.has(hash('sha256', value).slice(0, 24));
}
