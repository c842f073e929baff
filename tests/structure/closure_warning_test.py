#!/usr/bin/env python3
"""closure_warning_test.py COMPILER SOURCE INCLUDE_DIRECTORY

g++ 12 destroys temporary closures twice in expressions with co_await (docs/gcc12.md). Exactly the lines of SOURCE that
end with `// warns` have to be warned about, although the headers are system headers, and nothing else. 77, skipped: the
compiler is not a g++ before 13.
"""

import os
import pathlib
import re
import subprocess
import sys


def main():
    compiler, source, include = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    macros = subprocess.run([compiler, "-dM", "-E", "-x", "c++", "/dev/null"],
                            capture_output=True, text=True, check=True).stdout
    version = re.search(r"#define __GNUC__ (\d+)", macros)
    if "__clang__" in macros or not version or int(version.group(1)) >= 13:
        print("not a g++ before 13")
        return 77

    lines = source.read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, start=1) if line.endswith("// warns")}
    command = [compiler, "-std=c++23", "-fcoroutines", "-Wall", "-Wextra", "-Wpedantic", "-isystem", include]
    done = subprocess.run([*command, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C"})
    said = done.stderr
    if done.returncode != 0:
        sys.exit(f"{source} does not compile:\n{said}")
    where = re.escape(str(source)) + r":(\d+):\d+:   required from here"
    warned = {int(number) for number in re.findall(where, said)}
    if warned != expected or said.count(": warning: ") != len(expected):
        sys.exit(f"not warned about: {sorted(expected - warned)}; wrongly: {sorted(warned - expected)}\n{said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
