import { createHash } from 'node:crypto';
import { ADVISORIES } from './advisories.ts';
import { KEPT } from './pickle/allow-kept.ts';
import { NUMERIC } from './pickle/allow-numeric.ts';
import { PYTHON } from './pickle/allow-python.ts';
import { SKLEARN } from './pickle/allow-sklearn.ts';
import { TORCH } from './pickle/allow-torch.ts';
import { DENIED, EXCEPT } from './pickle/deny.ts';
import { METHODS, VENDORED } from './pickle/deny-libraries.ts';
import { RULES, RULES_VERSION } from './rules.ts';

export { RULES_VERSION };

const lists = [[...VENDORED], [...METHODS].map(([root, methods]) => [root, ...methods])];

/** SHA-256 of everything that decides a verdict and is data: the rules and both lists. A verdict holds for these only. */
export const RULES_DIGEST: string = createHash('sha256')
  .update(JSON.stringify([RULES_VERSION, RULES, ADVISORIES, DENIED, EXCEPT, lists, KEPT, PYTHON, NUMERIC, SKLEARN, TORCH]))
  .digest('hex');
