import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rulesOf, scanBytes } from './writers.ts';

describe('Python beside a model', () => {
  const harmful: readonly (readonly [string, string])[] = [
    ['a call alone, which imports nothing by a statement', "x = __import__('os').system('id')\n"],
    ['the same without a result', "__import__('os').system('id')"],
    ['alone behind another statement', "x = 1; __import__('os').system('id')"],
    ['alone in a list', "[__import__('os').system('id')]"],
    ['alone in a call', "print(__import__('os').system('id'))"],
    ['alone in an assertion', "assert __import__('os').system('id') == 0"],
    ['alone in a field of a string', 'f\'{__import__("os").system(1)}\''],
    ['alone, under an annotated name', "x: int = __import__('os').system('id')"],
    ['alone, code over three lines', "exec(\n'import os'\n)\n"],
    ['alone, code under a condition', "while True: exec('1')"],
    ['alone, code that is a key', "__builtins__['eval']('1')"],
    ['alone, code out of the built-in names', "getattr(__builtins__, 'ex' + 'ec')('1')"],
    ['alone, code under another name', "f = exec; f('1')"],
    ['alone, in the quotes that blanked text has', '__import__("os").system("id")'],
    ['alone beside a field with a conversion', '__import__("os").system("id")\nf"{1!r} {2!s:>3}"\n'],
    ['alone beside that and more comments than are told apart', `__import__("os").system("id")\nf"{1!r}"\n${'# x\n'.repeat(2 ** 18)}`],
    ['alone, code before a space', 'exec ("import os")\n'],
    ['alone, code before a space and many comments', `exec ("import os")\n${'# x\n'.repeat(2 ** 18)}`],
    ['alone, code in wide letters', '\uff45\uff58\uff45\uff43("import os")\n'],
    ['alone, code in wide letters before many comments', `\uff45\uff58\uff45\uff43("import os")\n${'# x\n'.repeat(2 ** 18)}`],
    ['alone, code behind a number', "0or exec('1')\n"],
    ['alone, code in a block with a line that goes on', "if 1:\n    a = 1 + \\\n2\n    exec('1')\n"],
    ['alone, code in a block before many comments', `if 1:\n    exec('1')\n${'# x\n'.repeat(2 ** 18)}`],
    [
      'alone, under more names than are followed, behind a comment',
      `# x\n${Array.from({ length: 202 }, (_, index) => `a${index} = os\n`).join('')}x = getattr\n`,
    ],
    ['at the top', "import os\nos.system('id')\n"],
    ['by another name of the module', "import os as o\no.system('id')\n"],
    ['by another name of the function', "from os import system as s\ns('id')\n"],
    ['out of a star import', "from subprocess import *\nrun(['id'])\n"],
    ['out of an import in brackets', "from subprocess import (\n  Popen as P,  # x\n  run)\nP('id')\n"],
    ['in the body of a class', "import os\nclass A:\n    os.system('id')\n"],
    ['in a branch', "import os\nif True:\n    os.system('id')\n"],
    ['in a function that is called', "import os\ndef f():\n    os.system('id')\n\nf()\n"],
    ['in a function that another calls', "import os\ndef f():\n    os.system('id')\ndef g():\n    f()\n\ng()\n"],
    ['in a decorator', "import os\ndef f(x):\n    os.system('id')\n@f\ndef h(): pass\n"],
    ['in a constructor of what is made', "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nA()\n"],
    ['in a default', "import os\ndef f(x=os.system('id')):\n    pass\n"],
    ['in a hook of the class', "import os\nclass A:\n    def __init_subclass__(cls):\n        os.system('id')\n"],
    [
      'in a class that a loader makes',
      "import os\nimport torch.nn as nn\nclass M(nn.Module):\n    def __init__(self):\n        os.system('id')\n",
    ],
    ['behind a string that looks like a function', 'import os\nif ("""\ndef f():"""):\n    os.system("id")\n'],
    ['in an f-string', 'import os\nx = f"{os.system(\'id\')}"\n'],
    ['behind strings that nest', "import os\nx = f\"{\"'''\"}\"\nos.system('id')\n#'''\n"],
    ['by a computed name', "import os\ngetattr(os, 'sys'+'tem')('id')\n"],
    ['out of the builtins', "import sys\n__builtins__['ex'+'ec']('1')\n"],
    ['by importlib', "import importlib\nimportlib.import_module('os').system('id')\n"],
    ['in a thread', "import os, threading\ndef f():\n    os.system('id')\nthreading.Thread(target=f).start()\n"],
    ['in encoded code', "import base64\nexec(base64.b64decode('x'))\n"],
    ['on a line that goes on', "import os\ndef f(): pass\nif 1: \\\n  os.system('id')\n"],
    ['with CR LF', "import os\r\nos.system('id')\r\n"],
    ['with CR', "import os\rdef f():\r  pass\ros.system('id')\r"],
    ['behind a string that begins the line', 'import os\ndef f():\n    pass\n"""doc"""; os.system(\'id\')\n'],
    ['in an expression that begins with a string', "import os\ndef f():\n    pass\n'' or os.system('id')\n"],
    ['behind a bracket in an f-string', 'import os\ndef f():\n    x = f"("\nos.system(\'id\')\n'],
    ['behind a bracket in a format specification', 'import os\ndef f():\n    x = f"{1:(<3}"\nos.system(\'id\')\n'],
    ['behind an f-string that looks like a function', 'import os\nx = f"""\ndef f():\n  """; os.system(\'id\')\n'],
    ['behind an f-string with a brace in a string in it', "import os\nx = f\"{'}' + \"'''\"}\"\nos.system('id')\n#'''\n"],
    ['behind an f-string with a backslash in a string in it', "import os\nx = f\"{'\\'}' + \"'''\"}\"\nos.system('id')\n#'''\n"],
    ['behind a form feed, which starts the indentation anew', "import os\ndef f():\n    pass\n    \fos.system('id')\n"],
    ['behind a string that goes on over CR LF', "import os\r\nx = 'a\\\r\n\"\"\"'\r\nos.system('id')\r\n"],
    ['in wide letters', "import os\nos.\uff53ystem('id')\n"],
    ['in mathematical letters', "import os\nos.\ud835\ude34ystem('id')\n"],
    ['in a function with another alphabet in its name', "import os\ndef f\u00f1():\n    os.system('id')\nf\u00f1()\n"],
    ['under the condition of a program or another', "import os\nif __name__ == '__main__' or True:\n    os.system('id')\n"],
    ['under a condition that only looks like that of a program', "import os\nif __name__ == __name__:\n    os.system('id')\n"],
    ['in a module that names itself the program', "import os\n__name__ = '__main__'\nif __name__ == '__main__':\n    os.system('id')\n"],
    ['in a function under another name', "import os\ndef f():\n    os.system('id')\ng = f\ng()\n"],
    ['in a class under another name', "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nB = A\nB()\n"],
    ['in a function out of a list', "import os\ndef f():\n    os.system('id')\n[f][0]()\n"],
    ['in a function out of a table', "import os\ndef f():\n    os.system('id')\n{'a': f}['a']()\n"],
    ['in a function out of globals()', "import os\ndef f():\n    os.system('id')\nglobals()['f']()\n"],
    ['in a function called by its method', "import os\ndef f():\n    os.system('id')\nf.__call__()\n"],
    ['in a function that a lambda returns', "import os\ndef f():\n    os.system('id')\n(lambda: f)()()\n"],
    ['in a function that a loop names', "import os\ndef f():\n    os.system('id')\nfor g in f,: g()\n"],
    ['in a class out of a list', "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nx = [A][0]()\n"],
    ['by a function that was assigned', "import os\ns = os.system\ns('id')\n"],
    ['by a function that is handed over', "import os\nlist(map(os.system, ['id']))\n"],
    ['by a function that is assigned in an expression', "import os\n(s := os.system)('id')\n"],
    ['by a function in brackets', "import os\n(os.system)('id')\n"],
    ['by a method of the function', "import os\nos.system.__call__('id')\n"],
    ['by a module in brackets', "import os\n(os).system('id')\n"],
    ['by a module that was assigned', "import os\no = os\no.system('id')\n"],
    ['by a second module without a space before it', "import json,os as o\no.system('id')\n"],
    ['out of an import on two lines', "from os import \\\n    system\nsystem('id')\n"],
    ['by a name on a second line', "import os \\\n as o\no.system('id')\n"],
    ['by a call on two lines', "import os\nos\\\n.system('id')\n"],
    ['out of an import without spaces', "from os import(system)\nsystem('id')\n"],
    [
      'by the last of many names',
      `import json\n${Array.from({ length: 201 }, (_, index) => `import os as a${index}\n`).join('')}a200.system('id')\n`,
    ],
    ['by a computed name of a module under another', "import os as o\ngetattr(o, 'sys'+'tem')('id')\n"],
    ['by importlib under another name', "from importlib import import_module as im\nim('os').system('id')\n"],
    ['out of the table of modules', "import sys\nsys.modules['os'].system('id')\n"],
    ['by a module of another module', "import shutil\nshutil.os.system('id')\n"],
    ['out of the table of a module', "import os\nvars(os)['system']('id')\n"],
    ['by the lookup of a module', "import os\nos.__getattribute__('system')('id')\n"],
    [
      'by the classes of everything',
      "import json\n[c for c in ().__class__.__base__.__subclasses__() if c.__name__=='_wrap_close'][0].__init__.__globals__['system']('id')\n",
    ],
    ['by a decorator alone', "import json\n@exec\n@'import os'.__add__\ndef f(): pass\n"],
    ['by an imported function that is handed over', "from os import system\nlist(map(system,['id']))\n"],
    ['by an assigned function of subprocess', "import subprocess\nr = subprocess.run\nr(['id'])\n"],
    ['by an import whose name is in a variable', "import json\nm='os'\n__import__(m).system('id')\n"],
    ['as a function made of compiled code', "import types\ntypes.FunctionType(compile('import os','','exec'),{})()\n"],
    ['out of the built-in names by attribute', "x = __builtins__.__dict__['eval']('1')\n"],
    ['out of them by a method', "x = __builtins__.get('eval')('1')\n"],
    ['out of their table under another name', "b = __builtins__.__dict__\nb['eval']('1')\n"],
    ['out of the globals by a method', "x = globals().get('__builtins__')['eval']('1')\n"],
    ['out of the globals by a key of two pieces', "x = globals()['__buil' + 'tins__']['eval']('1')\n"],
    ['out of the locals', "x = locals()['__builtins__'].eval('1')\n"],
    ['out of the globals of a function', "x = (lambda: 0).__globals__['__builtins__']['eval']('1')\n"],
    ['out of the built-in names of a function', "def f(): pass\nf.__builtins__['eval']('1')\n"],
    ['out of what a built-in function belongs to', "x = print.__self__.exec('1')\n"],
    ['out of a module in the table of modules', "import sys\nm = sys.modules['subprocess']\nm.run(['id'])\n"],
    ['out of that table alone', "from sys import modules\nmodules['builtins'].eval('1')\n"],
    ['out of the built-in names under another name', "import builtins as b\nb.__dict__['eval']('1')\n"],
    ['by a caller of methods', "import operator, os\noperator.methodcaller('system', 'id')(os)\n"],
    ['out of the table of a module by a method', "import os\nos.__dict__.get('system')('id')\n"],
    ['by an interpreter', "import code\ncode.InteractiveInterpreter().runsource('1')\n"],
    ['by a measurement', "import timeit\ntimeit.timeit('1')\n"],
    ['by a profile', "import cProfile\ncProfile.run('1')\n"],
    ['by a pager', "import pydoc\npydoc.pipepager('x', 'id')\n"],
    [
      'in a method of a class that another is derived from',
      "import os\nclass A:\n    def run(self):\n        os.system('id')\nclass B(A):\n    pass\nB().run()\n",
    ],
    [
      'in a method that a function calls',
      "import os\nclass A:\n    def run(self):\n        os.system('id')\ndef f(a):\n    g = a.run\n    g()\nf(A())\n",
    ],
    ['in a function that is a default', "import os\ndef f():\n    os.system('id')\ndef g(x=f()): pass\n"],
    ['in a function that is the metaclass', "import os\ndef f(*a):\n    os.system('id')\nclass B(metaclass=f): pass\n"],
    [
      'in a class derived from another name of a class',
      "import os\nclass A:\n    def __new__(c):\n        os.system('id')\nX = A\nclass B(X): pass\nB()\n",
    ],
    [
      'in a class derived from what is taken out of a table',
      "import os\nclass A:\n    def __new__(c):\n        os.system('id')\nX = {'a': A}['a']\nclass B(X): pass\nB()\n",
    ],
    [
      'in a derived class out of a table',
      "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nclass B(A): pass\nreg = {'b': B}\nreg['b']()\n",
    ],
    [
      'in a derived class that a comprehension gives',
      "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nclass B(A): pass\nx = [B for _ in 'a'][0]()\n",
    ],
    [
      'in a class that its base keeps',
      "import os\nclass A:\n    def __init__(self):\n        os.system('id')\nclass B(A): pass\nA.__subclasses__()[0]()\n",
    ],
    [
      'in a decorated class that is called from a list',
      "import os\nreg = []\n@reg.append\nclass A:\n    def __init__(self):\n        os.system('id')\nfor c in reg: c()\n",
    ],
    [
      'in a metaclass among computed keywords',
      "import os\nclass M(type):\n    def __init__(c, *a):\n        os.system('id')\nkw = {'metaclass': M}\nclass A(**kw): pass\n",
    ],
    ['in a method that the body of its class calls', "import os\nclass A:\n    def f():\n        os.system('id')\n    f()\n"],
    ['in a method that decorates another', "import os\nclass A:\n    def f(g):\n        os.system('id')\n    @f\n    def g(self): pass\n"],
    [
      'in a method that is called under another name in the body of its class',
      "import os\nclass A:\n    def f(*a):\n        os.system('id')\n    go = f\n    y = go()\n",
    ],
    ['in a method that is handed over there', "import os\nclass A:\n    def f(*a):\n        os.system('id')\n    z = list(map(f, [1]))\n"],
    [
      'in a class in a function, whose body calls it',
      "import os\ndef make():\n    class A:\n        def f():\n            os.system('id')\n        f()\nmake()\n",
    ],
    ['in a method that is a name of the module', "import os\nclass A:\n    global f\n    def f():\n        os.system('id')\nf()\n"],
    ['in a function under another name inside of another', "import os\ndef f():\n    os.system('id')\ndef g():\n    h = f\n    h()\ng()\n"],
    [
      'under a condition of a program or another',
      "import os, sys\nif sys.platform != 'x' and __name__ == '__main__' or True:\n    os.system('id')\n",
    ],
    ['in the condition of a program', "import os, sys\nif os.system('id') and __name__ == '__main__':\n    pass\n"],
    ['in an encoding that hides it', "# -*- coding: utf-7 -*-\nimport os\n+AG8AcwAuAHMAeQBzAHQAZQBt-('id')\n"],
  ];
  for (const [name, text] of harmful)
    it(`what runs on import is found: ${name}`, async () => {
      const report = await scanBytes(Buffer.from(text));
      assert.deepEqual([report.verdict, rulesOf(report)], ['suspicious', ['python-dangerous']]);
    });
  const harmless: readonly (readonly [string, string])[] = [
    ['in a function', 'import subprocess\n\ndef run_tests(args):\n    return subprocess.run(args, check=True)\n'],
    [
      'in methods that call one another',
      'import subprocess\n\nclass Compiler:\n    def spawn(\n        self,\n        args,\n    ):\n        subprocess.check_call(args)\n\n    def other(self):\n        self.spawn([])\n',
    ],
    [
      'when started as a program',
      "import subprocess\n\ndef main():\n    subprocess.run(['x'])\n\nif __name__ == '__main__':\n    main()\n",
    ],
    ['in strings and comments', '"""Use os.system("x") or eval(x).\n"""\nimport os\n\nX = 1  # not eval(x)\nY = "os.system(1)"\n'],
    ['by what platform says', "import os, platform\nX = platform.system() == 'x'\n"],
    ['as types', 'import subprocess\n\ndef wait(process: subprocess.Popen, other: "X" = None) -> subprocess.Popen:\n    return process\n'],
    [
      'behind f-strings with ordinary fields',
      "import subprocess\nD = {'a': 1}\nX = f\"it's {D['a']:>3} {{x}} ({1!r})\"\n\n\ndef f():\n    return subprocess.run([])\n",
    ],
    ['in functions with long documentation', 'import os\n\ndef f():\n    """x\ny\n"""\n    os.system("x")\n'],
    [
      'when started as a program on one system',
      "import sys\nif sys.platform != 'win32' and __name__ == '__main__':\n    import subprocess\n    subprocess.run(['x'])\n",
    ],
    [
      'in a fixture that tests name as a parameter',
      "import pytest, subprocess\n@pytest.fixture\ndef built(request):\n    subprocess.check_call(['x'])\n\ndef test_it(built):\n    assert built\n",
    ],
    [
      'in a method of a class that is derived from',
      "import os\nclass A(object):\n    def install(self):\n        os.system('x')\n\nclass B(A):\n    pass\n",
    ],
    [
      'in a method whose name a function has too',
      "import subprocess\nclass A:\n    def spawn(self):\n        subprocess.run(['x'])\n\ndef other():\n    spawn()\n\nother()\n",
    ],
    [
      'in methods of a property',
      "import os\nclass A:\n    def get(self):\n        os.system('x')\n    x = property(get)\n    @property\n    def y(self):\n        os.system('x')\n    @y.setter\n    def y(self, value):\n        os.system('x')\n",
    ],
    [
      'in a method whose name is a parameter with a default of another',
      "import os\nclass A:\n    def f(self):\n        os.system('x')\n    def g(self, f, *, h=None):\n        pass\n",
    ],
    [
      'in a class that nobody names beside a call of what cannot be told',
      "import os, fmt\nfmt.table['x']()\n\nclass A:\n    def f(self):\n        os.system('x')\n",
    ],
    ['by a table of modules that is filled', "import sys\nsys.modules['os'] = None\n"],
    ['a namespace package', "__import__('pkg_resources').declare_namespace(__name__)\n"],
    ['in prose', 'x = 3\nuse eval(x) with care\nNote (see below)\n'],
    [
      'a function that unpickles what it is given',
      "import pickle\n\ndef load(path):\n    with open(path, 'rb') as f:\n        return pickle.load(f)\n",
    ],
    ['in a sentence', 'eval(data) gives the accuracy\nand exec(x) runs code'],
    ['in a metric', 'eval(t1) metric: accuracy\n'],
    ['in a note', 'exec (see below)\n'],
    ['in a list of instructions', "Run `__import__('os').system('id')` never.\n"],
    ['in settings', 'lr = 3e-4\nnotes = do not use eval(x) here\n'],
  ];
  for (const [name, text] of harmless)
    it(`what does not run on import is left alone: ${name}`, async () => {
      assert.equal((await scanBytes(Buffer.from(text))).verdict, 'clean');
    });
  it('what is derived, assigned and called costs steps in proportion to the text, which end it', async () => {
    const chain = (count: number, bases: number): Buffer => {
      const classes = Array.from(
        { length: count },
        (_, index) => `class C${count - index}(C${count - index - 1}${',Z'.repeat(bases)}): pass\n`,
      );
      const calls = Array.from({ length: 18 }, (_, index) => `def g${18 - index}():\n    ${index === 17 ? 'C0()' : `g${17 - index}()`}\n`);
      return Buffer.from(`import os\nclass C0:\n    def __init__(self):\n        os.system('id')\n${classes.join('')}${calls.join('')}`);
    };
    // Of 0.9 MiB; the smaller one is a tenth of it.
    for (const [count, bases, work] of [[1900, 230, 1_500_000], [190, 230, 150_000]] as const) // biome-ignore format: one line
      assert.equal((await scanBytes(chain(count, bases), 'file', { work })).verdict, 'clean');
    const ended = await scanBytes(chain(1900, 230), 'file', { work: 100_000 });
    assert.deepEqual([ended.verdict, rulesOf(ended)], ['inconclusive', ['limit-work']]);
  });
  it('text made to take long ends', async () => {
    const chain = Array.from({ length: 1900 }, (_, index) => `def f${index}():\n  f${index - 1}()\n`)
      .reverse()
      .join('');
    const nest = Array.from({ length: 700 }, (_, index) => `${' '.repeat(index)}def f${index}():\n`).join('');
    for (const text of [
      `import os\n${chain}def f${-1}(): os.system('x')\n`,
      `import os\n${nest}`,
      `import os\n${"f'{".repeat(300_000)}`,
      `import os\n${'"""\\'.repeat(250_000)}`,
    ])
      assert.ok(!rulesOf(await scanBytes(Buffer.from(text), 'file', { time: 5_000 })).includes('limit-time'));
  });
});
