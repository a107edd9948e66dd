import { encodeGguf, type GgufTensor, type GgufValue } from './gguf.ts';
import { seededRandom } from './random.ts';

/** Sizes of a Llama-architecture model. `width` is divisible by `heads`, `heads` by `keyValueHeads`. */
export interface ModelShape {
  readonly layers: number;
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly contextLength: number;
}

export const TINY_SHAPE: ModelShape = { layers: 2, width: 64, feedForward: 128, heads: 4, keyValueHeads: 2, contextLength: 2048 };

// What the model can say. Accents, scripts and emoji are in it on purpose: a stream of them cuts multi-byte characters.
const WORDS =
  'the a of and to in is it that was for on are with as his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know get through back much go good new write our me man too any day same right look think also around another came come work three word must because does part even place well such here take why help put different away again off went old number great tell men say small every found still between name should home big give air line set own under read last never us left end along while might next sound below saw something thought both few those always show large often together asked house world going want school important until form food keep children feet land side without boy once animal life enough took four head above kind began almost live page got earth need far hand high year mother light country father let night picture being study second soon story since white ever paper hard near sentence better best across during today however sure knew try told young sun thing whole hear example heard several change answer room sea against top turned learn point city play toward five himself usually money seen car morning';
const EXTRA_PIECES = [
  '.',
  ',',
  '!',
  '?',
  ':',
  ';',
  '\n',
  '▁café',
  '▁naïve',
  '▁Grüße',
  '▁слово',
  '▁世界',
  '▁こんにちは',
  '▁🙂',
  '▁👩‍🚀',
  'ing',
  'ed',
  'ly',
  's',
];
const SPACE = '▁'; // SentencePiece's visible space

const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
  /** Whether the model may say it; the others only read prompts. */
  readonly spoken: boolean;
}

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

/**
 * A model file for tests: Llama architecture, random weights, SentencePiece vocabulary with byte fallback so that every text has tokens.
 * The same seed and shape give the same bytes.
 */
export function tinyModel(seed: number, shape: ModelShape = TINY_SHAPE): Buffer {
  const vocabulary = buildVocabulary();
  return encodeGguf(describe(shape, vocabulary), drawTensors(seed, shape, vocabulary));
}

function buildVocabulary(): readonly Piece[] {
  const pieces: Piece[] = [
    { text: '<unk>', score: 0, type: TOKEN_TYPE.unknown, spoken: false },
    { text: '<s>', score: 0, type: TOKEN_TYPE.control, spoken: false },
    { text: '</s>', score: 0, type: TOKEN_TYPE.control, spoken: true },
  ];
  for (let byte = 0; byte < 256; byte++) {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    pieces.push({ text: name, score: 0, type: TOKEN_TYPE.byte, spoken: false });
  }
  const spoken = [...new Set([...WORDS.split(' ').map((word) => SPACE + word), ...EXTRA_PIECES])];
  const known = new Set(spoken);
  // The tokenizer merges from single characters upwards, so every prefix of a piece has to be a piece too.
  const prefixes = new Set(spoken.flatMap((piece) => [...piece].map((_, end) => [...piece].slice(0, end + 1).join(''))));
  for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ') prefixes.add(letter);
  const all = [...prefixes].filter((piece) => !known.has(piece)).sort();
  for (const piece of [...spoken, ...all]) {
    // Longer pieces win a merge.
    pieces.push({ text: piece, score: [...piece].length, type: TOKEN_TYPE.normal, spoken: known.has(piece) });
  }
  return pieces;
}

function describe(shape: ModelShape, vocabulary: readonly Piece[]): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: 'tiny' }],
    ['general.file_type', { type: 'u32', value: 0 }],
    ['llama.vocab_size', { type: 'u32', value: vocabulary.length }],
    ['llama.context_length', { type: 'u32', value: shape.contextLength }],
    ['llama.embedding_length', { type: 'u32', value: shape.width }],
    ['llama.block_count', { type: 'u32', value: shape.layers }],
    ['llama.feed_forward_length', { type: 'u32', value: shape.feedForward }],
    ['llama.attention.head_count', { type: 'u32', value: shape.heads }],
    ['llama.attention.head_count_kv', { type: 'u32', value: shape.keyValueHeads }],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', { type: 'u32', value: shape.width / shape.heads }],
    ['llama.rope.freq_base', { type: 'f32', value: 10_000 }],
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', values: vocabulary.map((piece) => piece.text) }],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', values: vocabulary.map((piece) => piece.score) }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', values: vocabulary.map((piece) => piece.type) }],
    ['tokenizer.ggml.unknown_token_id', { type: 'u32', value: 0 }],
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: 1 }],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.chat_template', { type: 'string', value: CHAT_TEMPLATE }],
  ]);
}

function drawTensors(seed: number, shape: ModelShape, vocabulary: readonly Piece[]): GgufTensor[] {
  const random = seededRandom(seed);
  const { width, feedForward } = shape;
  const keyValueWidth = (width / shape.heads) * shape.keyValueHeads;
  const ones = (name: string): GgufTensor => ({ name, shape: [width], data: new Float32Array(width).fill(1) });
  const matrix = (name: string, inputs: number, outputs: number, scale = 1 / Math.sqrt(inputs)): GgufTensor => {
    const data = new Float32Array(inputs * outputs);
    for (let i = 0; i < data.length; i++) data[i] = random.normal() * scale;
    return { name, shape: [inputs, outputs], data };
  };
  const output = matrix('output.weight', width, vocabulary.length, 1);
  for (const [row, piece] of vocabulary.entries()) {
    // A zero row scores 0; among hundreds of random scores some are far above it, so these tokens are never the best.
    if (!piece.spoken) output.data.fill(0, row * width, (row + 1) * width);
  }
  const tensors = [matrix('token_embd.weight', width, vocabulary.length, 1), ones('output_norm.weight'), output];
  for (let layer = 0; layer < shape.layers; layer++) {
    const at = (name: string): string => `blk.${layer}.${name}.weight`;
    tensors.push(
      ones(at('attn_norm')),
      matrix(at('attn_q'), width, width),
      matrix(at('attn_k'), width, keyValueWidth),
      matrix(at('attn_v'), width, keyValueWidth),
      matrix(at('attn_output'), width, width),
      ones(at('ffn_norm')),
      matrix(at('ffn_gate'), width, feedForward),
      matrix(at('ffn_up'), width, feedForward),
      matrix(at('ffn_down'), feedForward, width),
    );
  }
  return tensors;
}
