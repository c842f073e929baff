"""What the checks share: which files there are, and a view of C++ text without comments and strings."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ("runtime", "io", "combinators")
FOLDERS = LAYERS + ("tools", "tests", "examples", "benchmarks")

# Raw strings first; then a comment or a literal, whichever begins first. The look-behind keeps the
# digit separator of 1'000 from opening a character literal.
_NOISE = re.compile(
    r'R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"'
    r'|//[^\n]*|/\*.*?\*/'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def blank(match):
    """Keeps the line breaks, so that line numbers stay true; a literal leaves an empty literal behind."""
    text = match.group(0)
    breaks = "\n" * text.count("\n")
    if text.startswith(("//", "/*")):
        return " " + breaks
    return "''" + breaks if text.startswith("'") else '""' + breaks


def without_comments(text):
    return _NOISE.sub(lambda m: blank(m) if m.group(0).startswith(("//", "/*")) else m.group(0), text)


def code_only(text):
    return _NOISE.sub(blank, text)


def cpp_files(*folders):
    """Paths relative to the root, sorted."""
    found = []
    for folder in folders or FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".hpp", ".cpp") and path.is_file():
                found.append(path.relative_to(ROOT))
    return sorted(found)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def report(what, problems):
    """Prints the problems, one a line as path:line: text, and gives the exit status."""
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{what}: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0
