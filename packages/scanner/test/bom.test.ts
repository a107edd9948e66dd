import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { parseCard } from '../src/bom/card.ts';
import { type Bom, buildBom, scanPath } from '../src/index.ts';
import { EVIL, gguf } from './writers.ts';

const CARD = `---
license: apache-2.0
base_model: [acme/base, acme/other]
datasets:
- squad
language: en
tags: [text, chat]
pipeline_tag: text-generation
library_name: transformers
---
# A model
`;

describe('bill of materials', () => {
  let model = '';
  before(() => {
    model = mkdtempSync(join(tmpdir(), 'bom-'));
    writeFileSync(join(model, 'README.md'), CARD);
    writeFileSync(join(model, 'config.json'), '{"architectures":["LlamaForCausalLM"],"model_type":"llama"}');
    writeFileSync(join(model, 'model.gguf'), gguf([['tokenizer.chat_template', "{{ ''.__class__.__mro__ }}"]]));
    writeFileSync(join(model, 'extra.bin'), EVIL);
  });
  after(() => rmSync(model, { recursive: true }));

  async function build(): Promise<Bom> {
    const names = ['README.md', 'config.json', 'extra.bin', 'model.gguf'];
    const reports = await Promise.all(names.map((name) => scanPath(join(model, name))));
    return buildBom(model, { reports, tool: { name: 'test', version: '1' }, now: new Date(0) });
  }

  it('is valid by the published schema of CycloneDX 1.7', async () => {
    const folder = join(dirname(createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json')), 'res', 'schema');
    const read = (name: string): object => JSON.parse(readFileSync(join(folder, `${name}.SNAPSHOT.schema.json`), 'utf8')) as object;
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats.default(ajv);
    for (const format of ['iri-reference', 'idn-email']) ajv.addFormat(format, true);
    for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs'])
      ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
    const validate = ajv.compile(read('bom-1.7'));
    const bom = await build();
    assert.ok(validate(bom), JSON.stringify(validate.errors?.slice(0, 5)));
    assert.equal(validate({ ...bom, specVersion: 7 }), false);
  });
  it('says what was verified and what is claimed', async () => {
    const bom = await build();
    const component = bom.metadata['component'] as {
      licenses: unknown;
      pedigree: { ancestors: { name: string }[] };
      modelCard: { modelParameters: Record<string, unknown> };
      properties: { name: string; value: string }[];
    };
    assert.deepEqual(component.licenses, [{ license: { id: 'Apache-2.0', acknowledgement: 'declared' } }]);
    assert.deepEqual(
      component.pedigree.ancestors.map(({ name }) => name),
      ['acme/base', 'acme/other'],
    );
    assert.deepEqual(component.modelCard.modelParameters, {
      task: 'text-generation',
      architectureFamily: 'llama',
      modelArchitecture: 'LlamaForCausalLM',
      datasets: [{ ref: 'dataset:squad' }],
    });
    const mark = (field: string): string | undefined =>
      component.properties.find(({ name }) => name === `sallyport:provenance:${field}`)?.value;
    assert.deepEqual([mark('hashes'), mark('licenses'), mark('pedigree.ancestors')], ['verified', 'claimed', 'claimed']);
    assert.deepEqual(
      bom.components.map(({ name }) => name),
      ['README.md', 'config.json', 'extra.bin', 'model.gguf', 'squad'],
    );
  });
  it('names the vulnerabilities that findings are instances of', async () => {
    const bom = await build();
    const template = bom.vulnerabilities.find(({ id }) => id === 'CVE-2024-34359');
    assert.equal(template?.analysis.state, 'exploitable');
    assert.match(template?.recommendation ?? '', /llama-cpp-python 0\.2\.72/);
    const refs = bom.components.filter(({ name }) => name === 'model.gguf').map((component) => component['bom-ref']);
    assert.deepEqual(
      template?.affects.map(({ ref }) => ref),
      refs,
    );
  });
  it('a card that is none, or a bomb of aliases, claims nothing', () => {
    for (const text of ['', '# title', '---\n- a\n---\n', '---\nlicense: [\n---\n', '---\na: &a [x]\nlicense: *a\n---\n'])
      assert.equal(parseCard(text)?.license.length ?? 0, 0, text);
  });
});
