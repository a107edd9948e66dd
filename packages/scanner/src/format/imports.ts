import { judge } from '../pickle/policy.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

/** Libraries whose classes configurations instantiate by name as a matter of course. */
const FRAMEWORKS: ReadonlySet<string> = new Set([
  'nemo',
  'nemo_automodel',
  'megatron',
  'torch',
  'torchvision',
  'torchaudio',
  'torchmetrics',
  'pytorch_lightning',
  'lightning',
  'transformers',
  'diffusers',
  'timm',
  'monai',
  'apex',
  'omegaconf',
  'sklearn',
  'numpy',
  'fairseq',
  'speechbrain',
]);

/** Whether a dotted path names what a pickle may not import either. */
export function isDenied(target: string): boolean {
  const dot = target.lastIndexOf('.');
  const module = dot < 0 ? 'builtins' : target.slice(0, dot);
  return judge(module, target.slice(dot + 1)).kind === 'denied' || judge(target, '').kind === 'denied';
}

/** Judges a dotted path that a configuration asks to be imported and called (Hydra `_target_`, MONAI, NeMo: CVE-2025-23304). */
export function checkTarget(piece: Piece, target: string, offset: number = 0): void {
  const dot = target.lastIndexOf('.');
  const module = dot < 0 ? 'builtins' : target.slice(0, dot);
  const name = target.slice(dot + 1);
  const denied = judge(module, name);
  const bare = judge('builtins', name);
  if (denied.kind === 'denied' || (dot < 0 && bare.kind === 'denied') || denied.kind === 'dunder')
    piece.report('config-target', `instantiates ${quote(target)}`, offset);
  else if (/^hydra\.utils\.(get_method|get_class|get_static_method|get_object)$/.test(target))
    piece.report('config-unknown-target', `instantiates ${quote(target)}`, offset);
  else if (dot >= 0 && !FRAMEWORKS.has(target.split('.', 1)[0] ?? '') && !target.startsWith('hydra.'))
    piece.report('config-unknown-target', `instantiates ${quote(target)}`, offset);
}
