#!/usr/bin/env python3
"""must_not_compile.py SOURCE COMPILER FLAG...

Succeeds when the compiler refuses SOURCE and says something that matches the pattern in the source's first line,
`// expect: regex`. The pattern is what tells the right refusal from a typing error.
"""

import pathlib
import re
import subprocess
import sys


def main():
    source, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
    first = source.read_text(encoding="utf-8").splitlines()[0]
    expected = re.match(r"// expect: (.+)", first)
    if not expected:
        sys.exit(f"{source}: the first line must be `// expect: regex`")
    done = subprocess.run([*command, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        sys.exit(f"{source}: compiles, but must not")
    if done.returncode < 0:
        sys.exit(f"{source}: the compiler was killed by signal {-done.returncode}")
    if not re.search(expected.group(1), done.stderr):
        sys.exit(f"{source}: refused, but not with '{expected.group(1)}':\n{done.stderr}")


if __name__ == "__main__":
    main()
