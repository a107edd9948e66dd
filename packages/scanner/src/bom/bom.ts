import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { at, type Json, JsonError, parseJson } from '../format/json.ts';
import type { FileReport } from '../report.ts';
import { RULES_DIGEST, RULES_VERSION } from '../rules-digest.ts';
import { type ModelCard, parseCard } from './card.ts';
import { toVulnerabilities, type Vulnerability } from './vex.ts';

/** A CycloneDX 1.7 document, as far as one is written here. */
export interface Bom {
  readonly $schema: string;
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.7';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: Record<string, unknown>;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly vulnerabilities: readonly Vulnerability[];
}

export interface Component {
  readonly type: 'file' | 'data' | 'machine-learning-model';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly [field: string]: unknown;
}

export interface BomOptions {
  /** Reports of every file of the model, digested; paths below `model`. */
  readonly reports: readonly FileReport[];
  /** Name and version of the tool, for the document's metadata. */
  readonly tool: { readonly name: string; readonly version: string };
  readonly now?: Date;
}

const SCHEMA = 'http://cyclonedx.org/schema/bom-1.7.schema.json';
const CARD_LIMIT = 4 * 2 ** 20;
/** Licences of the Hub that are SPDX identifiers but for their letters; others are names. */
const SPDX: ReadonlyMap<string, string> = new Map(
  'Apache-2.0 MIT BSD-2-Clause BSD-3-Clause CC0-1.0 CC-BY-4.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-NC-ND-4.0 GPL-2.0 GPL-3.0 AGPL-3.0 LGPL-3.0 MPL-2.0 ISC Unlicense WTFPL Zlib Artistic-2.0 BSL-1.0 EUPL-1.1 AFL-3.0 MS-PL OSL-3.0 ECL-2.0 PostgreSQL'
    .split(' ')
    .map((id) => [id.toLowerCase(), id]),
);

/**
 * A bill of materials of a model: its files with digests and scan verdicts, what its card says of licence, base model and data sets, and what
 * its configuration says of its architecture. Each is marked: `verified` was computed from the bytes here, `claimed` is the publisher's word.
 */
export function buildBom(model: string, options: BomOptions): Bom {
  const { reports, now = new Date() } = options;
  const folder = statSync(model).isDirectory() ? model : null;
  const card = folder === null ? null : readCard(folder);
  const config = folder === null ? undefined : readConfig(folder);
  const files = reports.map((report) => fileComponent(report, folder));
  const digest = modelDigest(reports);
  const modelRef = `model:${digest}`;
  const ancestors = (card?.baseModels ?? []).map((name) => claimed('machine-learning-model', `base-model:${name}`, name));
  const datasets = (card?.datasets ?? []).map((name) => dataset(name));
  const refs = [...files, ...datasets].map((component) => component['bom-ref']);
  return {
    $schema: SCHEMA,
    bomFormat: 'CycloneDX',
    specVersion: '1.7',
    serialNumber: `urn:uuid:${uuidOf(digest, now)}`,
    version: 1,
    metadata: {
      timestamp: now.toISOString(),
      lifecycles: [{ phase: 'post-build' }],
      tools: { components: [{ type: 'application', name: options.tool.name, version: options.tool.version }] },
      component: modelComponent(modelRef, model, digest, card, config, ancestors, datasets),
      properties: [property('scanner:rules', RULES_VERSION), property('scanner:rules-sha256', RULES_DIGEST)],
    },
    components: [...files, ...datasets],
    dependencies: [{ ref: modelRef, dependsOn: refs }],
    vulnerabilities: toVulnerabilities(reports, (report) => refOf(report)),
  };
}

function modelComponent(
  ref: string,
  model: string,
  digest: string,
  card: ModelCard | null,
  config: Json | undefined,
  ancestors: readonly Component[],
  datasets: readonly Component[],
): Component {
  const architectures = at(config, 'architectures');
  const architecture = Array.isArray(architectures) && typeof architectures[0] === 'string' ? architectures[0] : null;
  const family = at(config, 'model_type');
  const parameters = {
    ...(card?.task == null ? {} : { task: card.task }),
    ...(typeof family === 'string' ? { architectureFamily: family } : {}),
    ...(architecture === null ? {} : { modelArchitecture: architecture }),
    ...(datasets.length === 0 ? {} : { datasets: datasets.map((component) => ({ ref: component['bom-ref'] })) }),
  };
  const marks: [string, 'verified' | 'claimed', boolean][] = [
    ['hashes', 'verified', true],
    ['files', 'verified', true],
    ['name', 'claimed', true],
    ['licenses', 'claimed', (card?.license.length ?? 0) > 0],
    ['pedigree.ancestors', 'claimed', ancestors.length > 0],
    ['modelCard.modelParameters.datasets', 'claimed', datasets.length > 0],
    ['modelCard.modelParameters.task', 'claimed', card?.task != null],
    ['modelCard.modelParameters.architectureFamily', 'claimed', typeof family === 'string'],
    ['modelCard.modelParameters.modelArchitecture', 'claimed', architecture !== null],
    ['tags', 'claimed', (card?.tags.length ?? 0) > 0],
  ];
  return {
    type: 'machine-learning-model',
    'bom-ref': ref,
    name: card?.name ?? basename(resolve(model)),
    hashes: [{ alg: 'SHA-256', content: digest }],
    ...(card === null || card.license.length === 0 ? {} : { licenses: card.license.map(licence) }),
    ...(card === null || card.tags.length === 0 ? {} : { tags: card.tags }),
    ...(ancestors.length === 0 ? {} : { pedigree: { ancestors } }),
    ...(Object.keys(parameters).length === 0 ? {} : { modelCard: { modelParameters: parameters } }),
    properties: [
      property('hashes', 'SHA-256 over the digests of the files in the order of their names'),
      ...marks.filter(([, , there]) => there).map(([field, mark]) => property(`provenance:${field}`, mark)),
      ...(card?.languages ?? []).map((language) => property('language', language)),
      ...(card?.library == null ? [] : [property('library', card.library)]),
    ],
  };
}

function licence(name: string): { readonly license: Record<string, string> } {
  const id = SPDX.get(name.toLowerCase());
  return { license: { ...(id === undefined ? { name } : { id }), acknowledgement: 'declared' } };
}

function fileComponent(report: FileReport, folder: string | null): Component {
  return {
    type: 'file',
    'bom-ref': refOf(report),
    name: folder === null ? basename(report.path) : relativeTo(folder, report.path),
    ...(report.sha256 === '' ? {} : { hashes: [{ alg: 'SHA-256', content: report.sha256 }] }),
    properties: [
      property('provenance:hashes', 'verified'),
      property('provenance:format', 'verified'),
      property('format', report.format),
      property('size', String(report.size)),
      property('scan:verdict', report.verdict),
      property('scan:rules', report.rules),
    ],
  };
}

function relativeTo(folder: string, path: string): string {
  const root = `${resolve(folder)}/`;
  const full = resolve(path);
  return full.startsWith(root) ? full.slice(root.length) : path;
}

function refOf(report: FileReport): string {
  return `file:${createHash('sha256').update(report.path).digest('hex').slice(0, 16)}:${report.sha256.slice(0, 16)}`;
}

function claimed(type: Component['type'], ref: string, name: string): Component {
  return { type, 'bom-ref': ref, name, properties: [property('provenance', 'claimed')] };
}

function dataset(name: string): Component {
  return { ...claimed('data', `dataset:${name}`, name), data: [{ type: 'dataset', name }] };
}

function property(name: string, value: string): { readonly name: string; readonly value: string } {
  return { name: `sallyport:${name}`, value };
}

function modelDigest(reports: readonly FileReport[]): string {
  const hash = createHash('sha256');
  for (const { sha256 } of reports) hash.update(sha256, 'hex');
  return hash.digest('hex');
}

/** One document, one number: from the model and the time, so that a repeated run of the same second is the same document. */
function uuidOf(digest: string, now: Date): string {
  const hex = createHash('sha256').update(`${digest} ${now.toISOString()}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function readCard(folder: string): ModelCard | null {
  const path = join(folder, 'README.md');
  return existsSync(path) && statSync(path).size <= CARD_LIMIT ? parseCard(readFileSync(path, 'utf8')) : null;
}

function readConfig(folder: string): Json | undefined {
  const path = join(folder, 'config.json');
  if (!existsSync(path) || statSync(path).size > CARD_LIMIT) return undefined;
  try {
    return parseJson(readFileSync(path, 'utf8'), { lenient: true });
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
