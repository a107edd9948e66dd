import { buildProgram } from './program.ts';
import { EXIT, tell } from './terminal.ts';

// A reader that has seen enough (`| head`) ends the command, as it ends any other.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

/** The `sallyport` command. Exit status: 0 done, 1 a refusal or negative finding, 2 wrong use or could not run. */
try {
  const program = await buildProgram(process.argv.slice(2));
  await program.parseAsync(process.argv);
} catch (error) {
  // Knows the errors of every package, and so loads them.
  const { describeError } = await import('./failure.ts');
  const { text, exit } = describeError(error);
  tell(text);
  process.exitCode = exit;
}

// Written by commander for `--help` (0) and wrong use; anything it does not know is wrong use.
if (process.exitCode !== undefined && Number(process.exitCode) > EXIT.unusable) process.exitCode = EXIT.unusable;
