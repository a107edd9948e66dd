import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rulesOf, scanBytes } from './writers.ts';

describe('Python beside a model', () => {
  const harmful: readonly (readonly [string, string])[] = [
    ['a call alone, which imports nothing by a statement', "x = __import__('os').system('id')\n"],
    ['the same without a result', "__import__('os').system('id')"],
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
    ['a namespace package', "__import__('pkg_resources').declare_namespace(__name__)\n"],
    ['in prose', 'x = 3\nuse eval(x) with care\nNote (see below)\n'],
    [
      'a function that unpickles what it is given',
      "import pickle\n\ndef load(path):\n    with open(path, 'rb') as f:\n        return pickle.load(f)\n",
    ],
  ];
  for (const [name, text] of harmless)
    it(`what does not run on import is left alone: ${name}`, async () => {
      assert.equal((await scanBytes(Buffer.from(text))).verdict, 'clean');
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
