#!/usr/bin/env python3
"""The checks themselves can fail: each is shown a small tree with one mistake of every kind it looks for."""

import pathlib
import subprocess
import sys
import tempfile

ROWS = "tests/conformance/rows.tsv"

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

MISTAKES = {
    "check_layers.py": {
        "rule 1": {"runtime/a.hpp": "#include <magpie/io/b.hpp>\n", "io/b.hpp": ""},
        "rule 2": {"io/a.hpp": "#include <magpie/io/b.hpp>\n", "io/b.hpp": "#include <magpie/io/a.hpp>\n"},
        "rule 3": {"examples/a.cpp": "#include <magpie/io/detail/b.hpp>\n", "io/detail/b.hpp": ""},
        "must not include the public": {"io/detail/a.hpp": "#include <magpie/io/b.hpp>\n", "io/b.hpp": ""},
        "rule 4": {"tools/a.cpp": "#include <magpie/io/loop/b.hpp>\n", "io/loop/b.hpp": ""},
        "rule 5": {"io/a.hpp": "#include <liburing.h>\n"},
        "rule 6": {"io/a.cpp": '#include "b.hpp"\n'},
        "rule 7": {"examples/a.cpp": "#include <magpie/io/loop/b.hpp>\n", "io/loop/b.hpp": ""},
        "rule 9": {"io/a.cpp": "thread_local int x;\n"},
        "rule 10": {"io/a.cpp": "std::atomic<int> x;\n"},
        "rule 11": {"io/a.hpp": ""},
    },
    "check_sizes.py": {
        "f has 72 lines": {"io/a.cpp": "void f(int (*)(int) = nullptr) {\n" + "    g();\n" * 70 + "}\n"},
        "c::c has 72 lines": {"io/a.cpp": "c::c() : a_{1}, b_(2) {\n" + "    g();\n" * 70 + "}\n"},
        "401 lines": {"io/a.cpp": "int x;\n" * 401},
        "61 lines of opening comment": {"io/a.hpp": "// x\n" * 61 + "int x;\n"},
    },
    "check_docs.py": {
        "does not exist": {"docs/a.md": "see `io/gone.hpp:f`\n"},
        "has no g": {"docs/a.md": "see `io/a.hpp:g`\n", "io/a.hpp": "void f();  // g\n"},
        "cites a line number": {"docs/a.md": "see `io/a.hpp:12`\n", "io/a.hpp": ""},
        "leads nowhere": {"README.md": "[a](docs/gone.md)\n"},
    },
    "conformance.py --check": {
        "TG-01 (MUST) is claimed by no test": {},
        "TG-02 is no row": {"tests/a_test.cpp": 'TEST_CASE("TG-01: x") { SUBCASE("TG-02: y") {} }\n'},
        "D2 is no row": {"tests/a_test.cpp": 'TEST_CASE(\n    "TG-01, "\n    "D2: x") {}\n'},
        "write every id out": {"tests/a_test.cpp": 'TEST_CASE("TG-01/02: x") {}\n'},
        "is claimed by no test": {"tests/a_test.cpp": '// TEST_CASE("TG-01: x") {}\n'
                                                      'TEST_CASE("TG-01: y" * doctest::skip()) {}\n'},
        "TG-03 stands twice": {ROWS: "id\nTG-03\tMUST\tx\nTG-03\tMUST\tx\n"},
        "N-A needs one": {ROWS: "id\nTG-03\tN-A\tx\n"},
        "no verdict of": {ROWS: "id\nTG-03\tPERHAPS\tx\n"},
        "belongs to no feature": {ROWS: "id\nXY-03\tMUST\tx\n"},
        "out of date": {"tests/a_test.cpp": 'TEST_CASE("TG-01: x") {}\n', "docs/conformance.md": "# Old\n"},
    },
}

# What a check needs to be there, besides the mistake.
GIVEN = {
    "conformance.py --check": {
        ROWS: "id\tverdict\tbehaviour\treason\nTG-01\tMUST\tx\n",
        "tests/conformance/decisions.tsv": "id\tquestion\tasyncio\tmagpie\nD1\ta\tb\tc\n",
        "docs/README.md": "\n",
    },
}

# Lines that look like mistakes and are none.
INNOCENT = {
    "io/a.hpp": '// thread_local "\ninline char const* s = "std::atomic"; inline int n = 1\'000; inline char q = \'"\';\n',
    "tests/io/a_test.cpp": "thread_local int here;\n",
    "docs/a.md": "see `io/a.hpp:s`\n",
}


def outcome(check, files):
    check, *options = check.split()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "tools").mkdir()
        for name in ("sources.py", check):
            (root / "tools" / name).write_text((REPOSITORY / "tools" / name).read_text(encoding="utf-8"))
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        command = [sys.executable, str(root / "tools" / check), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    wrong = []
    for check, cases in MISTAKES.items():
        for expected, files in cases.items():
            status, said = outcome(check, GIVEN.get(check, {}) | files)
            if status != 1 or expected not in said:
                wrong.append(f"{check} does not find '{expected}':\n{said}")
        if check in ("check_sizes.py", "conformance.py --check"):
            continue
        status, said = outcome(check, INNOCENT)
        if status != 0:
            wrong.append(f"{check} finds fault with an innocent tree:\n{said}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
