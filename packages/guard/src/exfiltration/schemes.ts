/** Beginnings of addresses that programs make links of in running text. */
const BEGINNINGS: readonly string[] = ['http://', 'https://', 'ftp://', 'ws://', 'wss://', 'www.'];

interface Node {
  readonly next: Map<number, number>;
  fail: number;
  readonly depth: number;
  accepts: boolean;
}

/** An Aho-Corasick automaton over `BEGINNINGS`, any case. State 0 is its root. */
const NODES: readonly Node[] = build();

function build(): Node[] {
  const nodes: Node[] = [{ next: new Map(), fail: 0, depth: 0, accepts: false }];
  for (const word of BEGINNINGS) {
    let at = 0;
    for (const letter of word) {
      const parent = nodes[at];
      const unit = letter.charCodeAt(0);
      at = parent?.next.get(unit) ?? nodes.push({ next: new Map(), fail: 0, depth: (parent?.depth ?? 0) + 1, accepts: false }) - 1;
      parent?.next.set(unit, at);
    }
    const last = nodes[at];
    if (last !== undefined) last.accepts = true;
  }
  // Breadth first, so that a node's failure is known before its children's.
  const queue = [0];
  for (const index of queue) {
    for (const [unit, child] of nodes[index]?.next ?? []) {
      const node = nodes[child];
      if (node !== undefined && index !== 0) node.fail = follow(nodes, nodes[index]?.fail ?? 0, unit);
      queue.push(child);
    }
  }
  return nodes;
}

function follow(nodes: readonly Node[], from: number, unit: number): number {
  for (let at = from; ; at = nodes[at]?.fail ?? 0) {
    const next = nodes[at]?.next.get(unit);
    if (next !== undefined) return next;
    if (at === 0) return 0;
  }
}

/** The state after each unit of ASCII in each state. */
const STEPS: Uint8Array = Uint8Array.from({ length: NODES.length * 128 }, (_, index) => {
  const unit = index % 128;
  return follow(NODES, Math.floor(index / 128), unit >= 0x41 && unit <= 0x5a ? unit | 0x20 : unit);
});

/** The state after `unit`. */
export function advance(state: number, unit: number): number {
  return unit < 128 ? (STEPS[state * 128 + unit] ?? 0) : 0;
}

/** Units of a beginning that were read. */
export function depthOf(state: number): number {
  return NODES[state]?.depth ?? 0;
}

export function isBeginning(state: number): boolean {
  return NODES[state]?.accepts === true;
}
