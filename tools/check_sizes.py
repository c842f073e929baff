#!/usr/bin/env python3
"""Sizes a reader can hold in mind: 70 lines a function, 400 a file, 60 for the comment that opens a file.

An exception is named below, with its reason; one that is no longer needed is a problem too.
"""

import re
import sys

from sources import code_only, cpp_files, read, report

FUNCTION_LINES = 70
FILE_LINES = 400
OPENING_COMMENT_LINES = 60

# path -> reason
LONG_FILES = {}
# "path:function" -> reason
LONG_FUNCTIONS = {}
# path -> reason
LONG_COMMENTS = {}

SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
NAME = re.compile(r"([~\w:]+|operator\s*\S+?)\s*\(")


def kind_of_brace(head):
    """What the brace after `head` opens; head is the code since the last statement or scope.

    scope     namespace, class: functions may follow inside
    function  a body
    part      belongs to a declaration that goes on: a member initialiser, a requires-expression
    other     an initialiser
    """
    flat = " ".join(head.split())
    flat = re.sub(r"^(template\s*<.*?>\s*(?=(?:class|struct|union|requires|[\w:\[]))|\[\[.*?\]\]\s*)+", "", flat)
    if re.search(r"\brequires(\s*\([^()]*(\([^()]*\)[^()]*)*\))?$", flat):
        return "part"
    if re.search(r"[^=!<>]=$", flat) and not flat.endswith("operator="):
        return "other"
    if SCOPE.match(re.sub(r"^(inline|static|constexpr|export|typedef|friend)\s+", "", flat)) and not flat.endswith(")"):
        return "scope"
    if "(" not in flat:
        return "other"
    # In a constructor's list of initialisers a body's brace follows a closing one.
    if re.search(r"\)\s*(noexcept\s*(\(.*?\))?\s*)?:(?!:)", flat) and re.search(r"[\w>]$", flat):
        return "part"
    return "function"


def functions(text):
    """Yields (name, first line, last line) of every function that is not inside another."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), code_only(text), flags=re.M)
    stack, start, depth = [], 0, 0  # depth: inside how many functions
    for match in re.finditer(r"[{};]|\b(?:public|private|protected):(?!:)", code):
        position, token = match.start(), match.group(0)
        if token == "{":
            kind = "other" if depth else kind_of_brace(code[start:position])
            first = start + len(code[start:position]) - len(code[start:position].lstrip())
            stack.append((kind, first, code[start:position]))
            depth += kind == "function"
            if kind != "part":
                start = position + 1
        elif token == "}":
            if not stack:
                continue
            kind, first, head = stack.pop()
            if kind == "function":
                depth -= 1
                name = NAME.search(head)
                yield (name.group(1) if name else "?", code.count("\n", 0, first) + 1,
                       code.count("\n", 0, position) + 1)
            if kind != "part":
                start = position + 1
        elif not stack or stack[-1][0] != "part":
            start = position + 1


def opening_comment(text):
    """How many lines of comment stand before the first code; #pragma, #include and blanks aside."""
    lines = 0
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("//"):
            lines += 1
        elif bare and not bare.startswith(("#pragma", "#include")):
            break
    return lines


def check(path, used):
    text, where = read(path), str(path)
    count = text.count("\n")
    if count > FILE_LINES:
        used.add(where)
        if where not in LONG_FILES:
            yield f"{where}:1: {count} lines, {FILE_LINES} allowed"
    comment = opening_comment(text)
    if comment > OPENING_COMMENT_LINES:
        used.add(where)
        if where not in LONG_COMMENTS:
            yield f"{where}:1: {comment} lines of opening comment, {OPENING_COMMENT_LINES} allowed"
    for name, first, last in functions(text):
        if last - first + 1 > FUNCTION_LINES:
            used.add(f"{where}:{name}")
            if f"{where}:{name}" not in LONG_FUNCTIONS:
                yield f"{where}:{first}: {name} has {last - first + 1} lines, {FUNCTION_LINES} allowed"


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--list":
        for path in cpp_files():
            for name, first, last in functions(read(path)):
                print(f"{last - first + 1:4} {path}:{first} {name}")
        return 0
    problems, used = [], set()
    for path in cpp_files():
        problems += check(path, used)
    for exception in sorted({*LONG_FILES, *LONG_FUNCTIONS, *LONG_COMMENTS} - used):
        problems.append(f"tools/check_sizes.py:1: the exception for {exception} is not needed")
    return report("check_sizes", problems)


if __name__ == "__main__":
    sys.exit(main())
