import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, pk, rulesOf, scanBytes, u32 } from './writers.ts';

const long = (text: string): Buffer => bytes('X', u32(Buffer.byteLength(text)), text);
/** What SciPy writes for a distribution with the parameters `shapes`. */
const template = (shapes: string, given: string = 'loc=0, scale=1', passed: string = 'loc, scale'): string => `
def _parse_args(self, ${shapes} ${given}):
    return (${shapes}), ${passed}

def _parse_args_rvs(self, ${shapes} ${given}, size=None):
    return self._argcheck_rvs(${shapes} ${passed}, size=size)

def _parse_args_stats(self, ${shapes} ${given}, moments='mv'):
    return (${shapes}), ${passed}, moments
`;
const NORM = pk.global('scipy.stats._continuous_distns', 'norm_gen');
const POISSON = pk.global('scipy.stats._discrete_distns', 'poisson_gen');
const made = (global: Buffer, ...state: readonly (string | number | Buffer)[]): Buffer =>
  bytes(pk.proto(2), global, ')', 0x81, ...state, 'b.');
const withCode = (code: string, global: Buffer = NORM): Buffer => made(global, '}(', long('_parse_arg_template'), long(code), 'u');

describe('distributions of SciPy, which run a part of their state', () => {
  it('what SciPy wrote itself is clean', async () => {
    for (const file of [
      withCode(template('')),
      withCode(template('a, b, ')),
      withCode(template('mu, ', 'loc=0', 'loc, 1'), POISSON),
      made(NORM, '}(', long('a'), 'K', 1, 'u'),
      // Before SciPy 1.5.
      made(NORM, '}(', long('shapes'), 'Nu', 'N', 0x86),
    ])
      assert.deepEqual(rulesOf(await scanBytes(file)), []);
  });
  it('any other code is malicious, however the object is made and the state is written', async () => {
    const code = 'import os\n';
    const pair = bytes('(', long('_parse_arg_template'), long(code), 't');
    for (const file of [
      withCode(code),
      withCode(template('') + code),
      withCode(template('a=print(1), ')),
      withCode(code, pk.global('scipy.stats._continuous_distns', 'rv_histogram')),
      withCode(code, pk.global('scipy.stats._discrete_distns', 'binom_gen')),
      made(NORM, '](', pair, 'e'),
      made(NORM, pair, 'N', 0x86),
      made(NORM, '}(', long('_parse_arg_template'), pk.global('builtins', 'str'), long(code), 0x85, 'R', 'u'),
      made(NORM, '}(', long('_attach_methods'), pk.global('numpy', 'clip'), 'u'),
      bytes(
        pk.proto(2),
        pk.global('copyreg', '_reconstructor'),
        '(',
        NORM,
        pk.global('builtins', 'object'),
        'NtR}(',
        long('_parse_arg_template'),
        long(code),
        'ub.',
      ),
    ])
      assert.equal((await scanBytes(file)).verdict, 'malicious', file.toString('latin1'));
  });
  it('a state that is not static is suspicious', async () => {
    const computed = bytes(pk.global('builtins', 'dict'), '(](', long('ab'), 'etR');
    for (const state of [computed, bytes('}(', pk.global('builtins', 'str'), '(K', 1, 'tRK', 1, 'u'), bytes('](', long('ab'), 'Ne')])
      assert.equal((await scanBytes(made(NORM, state))).verdict, 'suspicious');
  });
});

describe('what may be kept and not be called', () => {
  const call = (module: string, name: string, ...args: readonly (string | number | Buffer)[]): Buffer =>
    bytes(pk.global(module, name), '(', ...args, 'tR');
  const file = (...parts: readonly (string | number | Buffer)[]): Buffer => bytes(pk.proto(2), ...parts, '.');
  const clip = pk.global('numpy', 'clip');
  const scaler = bytes(pk.global('sklearn.preprocessing._data', 'StandardScaler'), ')', 0x81);
  const method = pk.global('sklearn.pipeline', 'Pipeline.fit');
  const bound = call('builtins', 'getattr', scaler, long('fit'));
  const ONE = bytes('K', 1);
  it('is clean where it is kept', async () => {
    for (const honest of [
      file(call('functools', 'partial', clip)),
      file(call('functools', 'partial', clip), '(', clip, ')}Ntb'),
      file(scaler, '}(', long('func'), clip, long('bound'), bound, long('method'), method, 'ub'),
      file(call('builtins', 'iter', ']')),
      file(
        call('copyreg', '_reconstructor', pk.global('sklearn.preprocessing._data', 'StandardScaler'), pk.global('builtins', 'object'), 'N'),
        '}b',
      ),
      file(call('collections', 'OrderedDict'), '(', long('a'), ONE, 'u}', 'b'),
    ])
      assert.deepEqual(rulesOf(await scanBytes(honest)), [], honest.toString('latin1'));
  });
  it('is reported where something may call it', async () => {
    const partial = call('functools', 'partial', clip);
    const space = bytes(call('types', 'SimpleNamespace'), '}(', long('extend'), clip, 'ub');
    for (const attack of [
      file(call('builtins', 'any', call('builtins', 'iter', partial, ONE))),
      file(call('builtins', 'iter', pk.global('builtins', 'dict'), ONE)),
      file(call('numpy.random._pickle', '__generator_ctor', ONE, clip)),
      file(call('numpy.random._pickle', '__generator_ctor', ONE, bound)),
      file(call('torch._tensor', '_rebuild_from_type_v2', method, pk.global('torch', 'Tensor'), ')', '}')),
      file(pk.global('pandas.core.indexes.base', '_new_Index'), call('builtins', 'tuple', '](', clip, '}e'), 'R'),
      file(call('copyreg', '_reconstructor', scaler, space, ONE)),
      file(call('copyreg', '_reconstructor', method, pk.global('builtins', 'object'), 'N')),
      file(call('functools', 'partial', pk.global('builtins', 'int')), '(', bound, ')}Ntb'),
      file(space, '(', ONE, 'e'),
      file(call('types', 'SimpleNamespace'), '}(', long('__setstate__'), clip, 'ub', ONE, 'b'),
      file(pk.global('functools', 'partial'), bytes('(', bound, 't}', 0x92)),
    ])
      assert.equal((await scanBytes(attack)).verdict, 'suspicious', attack.toString('latin1'));
  });
  it('a class that runs its state is not given to functions', async () => {
    const norm = pk.global('scipy.stats._continuous_distns', 'norm_gen');
    const attack = file(call('torch._tensor', '_rebuild_from_type_v2', norm, norm, ')}(', long('_parse_arg_template'), long('x'), 'u'));
    assert.equal((await scanBytes(attack)).verdict, 'suspicious');
  });
  it('a range of billions is reported where something walks through it', async () => {
    const huge = call('builtins', 'range', ONE, bytes(0x8a, 8, u32(0), u32(2 ** 30)));
    for (const walker of ['builtins max', 'builtins all', 'builtins sorted', 'collections deque', 'numpy array']) {
      const [module = '', name = ''] = walker.split(' ');
      assert.ok(rulesOf(await scanBytes(file(call(module, name, huge)))).includes('pickle-expansion'), walker);
    }
    assert.deepEqual(rulesOf(await scanBytes(file(call('builtins', 'max', call('builtins', 'range', 'K', 9))))), []);
  });
});
