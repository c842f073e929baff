#!/usr/bin/env python3
"""Keeps README.md and docs/ true.

check_docs.py                  every `path:symbol` and every repository path in backticks exists, every
                               relative link leads somewhere, no line numbers are cited
check_docs.py --extract DIR    writes the code blocks of the pages to DIR as programs, one file a block

A ```cpp block is extracted when it contains `main(`; one without is extracted when a comment stands on the
line above it: <!-- compile --> wraps it into the body of a coroutine, <!-- compile: declarations --> leaves
it at namespace scope. <!-- build only --> above a block with main() keeps it from being run.
"""

import pathlib
import re
import sys

from sources import ROOT, report, without_comments

PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "benchmarks/README.md")
CODE_PAGES = ("README.md", "docs/**/*.md")
TOP = ("runtime/", "io/", "combinators/", "tools/", "tests/", "examples/", "benchmarks/", "docs/", "cmake/")

SYMBOL = re.compile(r"`([\w./-]+\.(?:hpp|cpp|py|in|cmake|toml|txt|json)):([^`\s]+)`")
PATH = re.compile(r"`((?:%s)[\w./-]*)`" % "|".join(re.escape(t) for t in TOP))
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!--\s*(compile: declarations|compile|build only)\s*-->\s*\Z")

PREAMBLE = "// {where}\n#include <magpie/magpie.hpp>\n\n"
WRAPPED = PREAMBLE + """{includes}
using namespace magpie;
using namespace std::chrono_literals;

[[maybe_unused]] static task<> block() {{
{body}
    co_return;
}}

int main() {{}}
"""
DECLARED = PREAMBLE + "{includes}\nusing namespace magpie;\nusing namespace std::chrono_literals;\n\n{body}\nint main() {{}}\n"


def pages(patterns):
    return sorted({p for pattern in patterns for p in ROOT.glob(pattern) if p.is_file()})


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def has_symbol(path, symbol):
    """Every part of a::b::c must stand in the file as a word, outside its comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".hpp", ".cpp"):
        text = without_comments(text)
    parts = [part for part in re.split(r"::|\(\)|<.*?>|\.", symbol) if part]
    return all(re.search(r"(?<!\w)" + re.escape(part) + r"(?!\w)", text) for part in parts)


def check_page(page):
    text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
    prose = FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    for match in SYMBOL.finditer(prose):
        where, (path, symbol) = f"{name}:{line_of(prose, match.start())}", match.groups()
        if symbol.isdigit():
            yield f"{where}: {path}:{symbol} cites a line number; name a symbol"
        elif not (ROOT / path).is_file():
            yield f"{where}: {path} does not exist"
        elif not has_symbol(ROOT / path, symbol):
            yield f"{where}: {path} has no {symbol}"
    for match in PATH.finditer(prose):
        if not (ROOT / match.group(1)).exists():
            yield f"{name}:{line_of(prose, match.start())}: {match.group(1)} does not exist"
    for match in LINK.finditer(prose):
        target = match.group(1)
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
            yield f"{name}:{line_of(prose, match.start())}: the link {target} leads nowhere"


def program(where, code, mark):
    """The source of the program for one block, None if the block is not meant to be compiled."""
    if re.search(r"\bmain\s*\(", code):
        return f"// {where}{' (build only)' if mark == 'build only' else ''}\n{code}"
    if mark not in ("compile", "compile: declarations"):
        return None
    includes = "\n".join(line for line in code.splitlines() if line.startswith("#include"))
    body = "\n".join(line for line in code.splitlines() if not line.startswith("#include"))
    return (WRAPPED if mark == "compile" else DECLARED).format(where=where, includes=includes, body=body)


def extract(folder):
    """Writes what changed only, so that nothing is compiled in vain, and removes what is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = set()
    for page in pages(CODE_PAGES):
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
        for number, match in enumerate((m for m in FENCE.finditer(text) if m.group(1) == "cpp"), start=1):
            mark = MARK.search(text[: match.start()])
            source = program(f"{name}:{line_of(text, match.start())}", match.group(2), mark and mark.group(1))
            if source is None:
                continue
            stem = str(name.with_suffix("")).replace("/", "_").lower()
            path = folder / f"{stem}_{number}.cpp"
            kept.add(path)
            if not path.exists() or path.read_text(encoding="utf-8") != source:
                path.write_text(source, encoding="utf-8")
    for path in set(folder.glob("*.cpp")) - kept:
        path.unlink()


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--extract":
        extract(pathlib.Path(sys.argv[2]))
        return 0
    return report("check_docs", [problem for page in pages(PAGES) for problem in check_page(page)])


if __name__ == "__main__":
    sys.exit(main())
