import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Exit, run, temporaryDirectory } from '@sallyport/testkit';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

it('the bundle holds replies to a contract where there is no node_modules', async () => {
  await using place = await temporaryDirectory();
  for (let above = place.path; above !== dirname(above); above = dirname(above)) assert.ok(!existsSync(join(above, 'node_modules')));
  const build = "import('./tools/bundle.mjs').then(({ bundle }) => bundle(process.argv[1]))";
  const built = await run(process.execPath, ['-e', build, join(place.path, 'dist')], { cwd: REPOSITORY });
  assert.equal(built.code, 0, built.stderr);
  const check = async (contract: string, reply: string): Promise<Exit & { readonly stdout: string; readonly stderr: string }> => {
    const config = `upstreams: [{ name: demo, kind: demo }]
models: [{ name: demo, upstream: demo, target: demo }]
guards: { contract: ${contract} }\n`;
    writeFileSync(join(place.path, 'sallyport.yaml'), config);
    const args = ['dist/sallyport.mjs', 'inspect', '--config', 'sallyport.yaml', '--stage', 'output', '--json', '-'];
    return run(process.execPath, args, { cwd: place.path, env: { PATH: process.env['PATH'], HOME: place.path }, input: reply });
  };
  const schema = "{ schema: { type: object, properties: { city: { type: string, pattern: '^[A-Z][a-z]+$' } }, required: [city] } }";
  assert.equal((await check(schema, '{"city":"Oslo"}')).code, 0);
  assert.match((await check(schema, '{"city":"OSLO"}')).stdout, /"contract","category":"schema"/);
  const english = 'The weather is pleasant today, and we are going to walk along the river in the afternoon.';
  assert.equal((await check('{ languages: [en] }', english)).code, 0);
  assert.match((await check('{ languages: [de] }', english)).stdout, /"contract","category":"language"/);
});
