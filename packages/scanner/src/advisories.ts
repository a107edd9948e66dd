/**
 * Published advisories that a single finding can be told to be an instance of, and the first version of the loader that is not fooled; null
 * where the fooled one is a scanner, or where sources do not agree. Versions: the advisories in the GitHub Advisory Database.
 */
export const ADVISORIES = {
  'CVE-2022-45907': 'torch 1.13.1',
  'CVE-2024-5480': 'torch 2.2.3',
  'CVE-2024-48063': 'torch 2.5.0',
  'CVE-2025-8747': 'keras 3.11.0',
  'CVE-2025-9905': 'keras 3.11.3',
  'CVE-2025-9906': 'keras 3.11.0',
  'CVE-2025-49655': 'keras 3.11.3',
  'CVE-2025-12058': 'keras 3.12.0',
  'CVE-2026-1462': null,
  'CVE-2025-1716': null,
  'CVE-2025-10157': null,
  'CVE-2026-22608': null,
  'GHSA-vvpj-8cmc-gx39': null,
  'GHSA-5hwf-rc88-82xm': null,
  'GHSA-5j3x-jp52-966f': null,
  'GHSA-cffv-grgg-g429': null,
  'GHSA-6ggj-6f2q-f7mx': null,
} as const;

export type AdvisoryId = keyof typeof ADVISORIES;

/** Advisories by what a pickle imports: a module with all in it and below it, or one name of a module. */
const BY_IMPORT: ReadonlyMap<string, AdvisoryId> = new Map([
  ['pip', 'CVE-2025-1716'],
  ['asyncio.unix_events', 'CVE-2025-10157'],
  ['ctypes', 'CVE-2026-22608'],
  ['pydoc', 'CVE-2026-22608'],
  ['pkgutil resolve_name', 'GHSA-vvpj-8cmc-gx39'],
  ['uuid', 'GHSA-5hwf-rc88-82xm'],
  ['numpy.f2py.crackfortran', 'GHSA-cffv-grgg-g429'],
  ['_interpreters', 'GHSA-6ggj-6f2q-f7mx'],
  ['torch.jit.annotations parse_type_line', 'CVE-2022-45907'],
  ['torch.distributed.rpc', 'CVE-2024-5480'],
  ['torch.distributed.nn', 'CVE-2024-48063'],
]);

/** The advisory that the import of a denied name is an instance of, where there is one. */
export function advisoryOf(module: string, name: string): AdvisoryId | undefined {
  const exact = BY_IMPORT.get(`${module} ${name}`);
  if (exact !== undefined) return exact;
  for (let end = module.length; end > 0; end = module.lastIndexOf('.', end - 1)) {
    const advisory = BY_IMPORT.get(module.slice(0, end));
    if (advisory !== undefined) return advisory;
  }
  return name.includes('.') ? 'GHSA-5j3x-jp52-966f' : undefined;
}
