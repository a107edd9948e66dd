import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, temporaryDirectory } from '@sallyport/testkit';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

it('the command runs a bundle of exactly these sources, else the sources', async () => {
  await using copy = await temporaryDirectory();
  const put = (path: string, text: string): void => {
    mkdirSync(join(copy.path, path, '..'), { recursive: true });
    writeFileSync(join(copy.path, path), text);
  };
  for (const path of ['tools/stamp.mjs', 'tools/runtime.mjs', 'packages/cli/bin/sallyport.mjs']) {
    cpSync(join(REPOSITORY, path), join(copy.path, path));
  }
  put('package-lock.json', '{}');
  put('tools/bundle.mjs', '// how it is built');
  put('packages/cli/src/main.ts', "console.log('sources');\n");
  put('dist/sallyport.mjs', "console.log('bundle');\n");
  const command = async (): Promise<string> => {
    const ended = await run(process.execPath, [join(copy.path, 'packages/cli/bin/sallyport.mjs')], { cwd: copy.path });
    assert.equal(ended.code, 0, ended.stderr);
    return ended.stdout.trim();
  };
  assert.equal(await command(), 'sources', 'a bundle without a stamp');
  const stamp = await run(
    process.execPath,
    ['-e', "import('./tools/stamp.mjs').then(({ sourceDigest }) => process.stdout.write(sourceDigest()))"],
    { cwd: copy.path },
  );
  put('dist/stamp', stamp.stdout);
  assert.equal(await command(), 'bundle');
  put('packages/cli/src/main.ts', "console.log('changed sources');\n");
  assert.equal(await command(), 'changed sources');
});
