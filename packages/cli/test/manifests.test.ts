import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { validate as deployment } from 'kubernetes-models/_schemas/IoK8sApiAppsV1Deployment';
import { validate as horizontalPodAutoscaler } from 'kubernetes-models/_schemas/IoK8sApiAutoscalingV2HorizontalPodAutoscaler';
import { validate as service } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Service';
import { validate as podDisruptionBudget } from 'kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget';
import { parseAllDocuments } from 'yaml';

const MANIFESTS = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Validate = ((value: unknown) => boolean) & { errors?: readonly { readonly instancePath: string; readonly message?: string }[] | null };

/** Compiled from the OpenAPI description of Kubernetes. They refuse wrong types and what lacks, and overlook what they do not know. */
const SCHEMAS: Readonly<Record<string, Validate>> = {
  'apps/v1 Deployment': deployment,
  'v1 Service': service,
  'policy/v1 PodDisruptionBudget': podDisruptionBudget,
  'autoscaling/v2 HorizontalPodAutoscaler': horizontalPodAutoscaler,
};

/** What a manifest is refused for. A field that the schema never looks at is one that it does not know. */
function problemsOf(manifest: Json): string[] {
  const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
  const validate = SCHEMAS[`${apiVersion} ${kind}`];
  if (validate === undefined) return [`${apiVersion} ${kind} is no kind that is known here`];
  const unseen = new Set<string>();
  const problems = validate(watched(manifest, '', unseen)) ? [] : (validate.errors ?? []).map((error) => JSON.stringify(error));
  return [...problems, ...[...unseen].map((path) => `${path} is not known`)];
}

/** `value`, with the paths of all its fields in `unseen` until somebody reads them. */
function watched(value: Json, path: string, unseen: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item, at) => watched(item, `${path}/${at}`, unseen));
  const watching = Object.fromEntries(
    Object.entries(value).map(([key, of]) => {
      unseen.add(`${path}/${key}`);
      return [key, watched(of, `${path}/${key}`, unseen)];
    }),
  );
  return new Proxy(watching, {
    get: (target, key, receiver) => {
      unseen.delete(`${path}/${String(key)}`);
      return Reflect.get(target, key, receiver);
    },
  });
}

/** Paths of all mappings in it. */
function* mappings(value: Json, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield path;
  for (const [key, of] of Object.entries(value)) yield* mappings(of, [...path, Array.isArray(value) ? Number(key) : key]);
}

/** Fields whose keys are the operator's own. */
const OPEN = new Set(['labels', 'matchLabels', 'selector', 'requests', 'limits', 'annotations']);

/** YAML 1.1, as Kubernetes reads it: a mode of 0440 is octal. */
/** What is looked at of the one the manifests have. */
type PodSpec = {
  securityContext: Json;
  volumes: { name: string }[];
  containers: { securityContext: Json }[];
  initContainers: { securityContext: Json }[];
  terminationGracePeriodSeconds: number;
  automountServiceAccountToken: boolean;
};

function read(file: string): Json[] {
  return parseAllDocuments(readFileSync(MANIFESTS + file, 'utf8'), { version: '1.1', strict: true, uniqueKeys: true }).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Json;
  });
}

describe('the Kubernetes manifests', () => {
  for (const file of readdirSync(MANIFESTS)) {
    it(`${file}: every field is one of the API's, of its type`, () => {
      const documents = read(file);
      assert.ok(documents.length > 0);
      for (const document of documents) assert.deepEqual(problemsOf(document), []);
    });

    it(`${file}: a field that the API does not know would be seen, wherever it stands, and so would a wrong type`, () => {
      let tried = 0;
      for (const document of read(file)) {
        for (const path of mappings(document)) {
          const name = String(path.at(-1));
          // A Service's selector is open, a Deployment's is not.
          const isOpen = OPEN.has(name) && !(name === 'selector' && (document as { kind: string }).kind !== 'Service');
          const changed = structuredClone(document);
          let at = changed as Record<string | number, Json>;
          for (const key of path) at = at[key] as Record<string | number, Json>;
          at['privilegde'] = isOpen ? { not: 'a text' } : 'x';
          assert.notDeepEqual(problemsOf(changed), [], `${path.join('.')}.privilegde was overlooked`);
          tried += 1;
        }
      }
      assert.ok(tried > 50, String(tried));
    });
  }

  it('runs without privileges, keeps its evidence, and gives streams the time to end', () => {
    const [deployed] = read('gateway.yaml') as { spec: { template: { spec: PodSpec } } }[];
    assert.ok(deployed !== undefined);
    const { spec } = deployed.spec.template;
    for (const { securityContext } of [...spec.containers, ...spec.initContainers]) {
      assert.deepEqual(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
    }
    assert.equal((spec.securityContext as { runAsNonRoot: boolean }).runAsNonRoot, true);
    assert.equal(spec.automountServiceAccountToken, false);
    assert.ok(spec.terminationGracePeriodSeconds > 600);
    const ledger = spec.volumes.find(({ name }) => name === 'ledger') ?? assert.fail();
    assert.ok('persistentVolumeClaim' in ledger);
  });
});
