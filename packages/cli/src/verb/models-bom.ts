import { existsSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { buildBom, type FileReport, scanPaths } from '@sallyport/scanner';
import { Command } from 'commander';
import { plain, print, tell, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { expand } from './models-files.ts';
import { Progress } from './models-progress.ts';

export function bomCommand(): Command {
  return new Command('bom')
    .description('print a CycloneDX 1.7 bill of materials of a model: files, licence, base model, data sets, known vulnerabilities')
    .argument('<model>', 'file or directory')
    .option('--out <file>', 'write it there instead of stdout')
    .option('--json', 'as without it: a bill of materials is one JSON document')
    .addHelpText('after', '\nExample:\n  $ sallyport models bom ./llama --out llama.cdx.json')
    .action(async (model: string, { out }: { out?: string }) => {
      if (!existsSync(model)) throw new UsageError(`${model}: no such file or directory`);
      const files = expand([model]).filter((file) => !/(^|\/)\.git(\/|$|attributes$|ignore$|hub\/)/.test(file));
      const progress = new Progress(files);
      const reports: FileReport[] = [];
      for await (const report of scanPaths(files, { onProgress: (bytes) => progress.add(bytes) })) {
        progress.done();
        reports.push(report);
      }
      progress.clear();
      const text = JSON.stringify(buildBom(model, { reports, tool: { name: 'sallyport', version: VERSION } }), null, 2);
      if (out === undefined) print(text);
      else {
        writeFileSync(out, `${text}\n`);
        tell(plain(`${basename(model)}: ${reports.length} files in ${out}`));
      }
    });
}
