#!/usr/bin/env python3
"""Which test proves which row of the catalogue of semantics, as a page: docs/conformance.md.

    tools/conformance.py          writes the page
    tools/conformance.py --check  writes nothing; fails if a MUST or DEV row has no test, a test claims an id that
                                  is no row, the page is out of date, or a table is malformed
    tools/conformance.py --missing [SHOULD]  lists the rows without a test, those that are only SHOULD too

The rows are tests/conformance/rows.tsv (id, verdict, behaviour, for N-A the reason), the decisions that test names may
cite beside them tests/conformance/decisions.tsv. A test claims a row by its id: in the name of a TEST_CASE or SUBCASE,
in a comment of a file in tests/must_not_compile/, or, for a row that asks for documentation, in a comment
`<!-- row: ID -->` in a page of docs/. A test that is skipped claims nothing.
"""

import dataclasses
import re
import sys

from sources import ROOT, report, without_comments

ROWS = "tests/conformance/rows.tsv"
DECISIONS = "tests/conformance/decisions.tsv"
PAGE = "docs/conformance.md"
VERDICTS = ("MUST", "DEV", "SHOULD", "N-A")

FEATURES = {
    "GATHER": "gather", "WAIT": "wait", "TG": "Task groups", "TO": "Timeouts: the block",
    "WF": "Timeouts: one awaitable", "SH": "shield", "ASC": "as_completed", "CAN": "Cancellation", "SEM": "Semaphores",
    "LOCK": "Mutex", "EV": "Event", "COND": "Condition variable", "BAR": "Barrier", "Q": "Queues",
    "TH": "Threads", "LOOP": "Loop, timers, sleep", "RUN": "Running", "TASK": "Tasks and handles",
    "EAG": "Eager start", "CTX": "Task-local values", "DBG": "Diagnostics", "RACE": "first_success", "IO": "I/O",
    "BEY": "Beyond asyncio",
}

ID = re.compile(rf"\b(?:(?:{'|'.join(FEATURES)})-\d+|D\d+)\b")
# "TG-14/15", "TG-14 to 16", "TG-14, 15": the second half would be overlooked.
SHORTENED = re.compile(rf"\b(?:{'|'.join(FEATURES)})-\d+(?:\s*(?:/|,|-|\.\.|–|to|and)\s*)\d+\b")
LITERAL = r'"(?:\\.|[^"\\\n])*"'
CASE = re.compile(rf"\b(TEST_CASE(?:_\w+)?|SUBCASE|SCENARIO)\s*\(\s*((?:{LITERAL}\s*)+)([^{{]*)")


@dataclasses.dataclass(frozen=True)
class Row:
    id: str
    verdict: str
    behaviour: str
    reason: str

    @property
    def feature(self):
        return self.id.rsplit("-", 1)[0]


@dataclasses.dataclass(frozen=True)
class Claim:
    id: str
    path: str  # relative to the root
    line: int
    name: str  # of the case; empty if the whole file is the test


def table(path, columns):
    """The lines of a .tsv as lists of `columns` cells, without the head."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()[1:]
    return [(line.split("\t") + [""] * columns)[:columns] for line in lines if line]


def rows(problems):
    found = [Row(*cells) for cells in table(ROWS, 4)]
    seen = set()
    for row in found:
        if row.id in seen:
            problems.append(f"{ROWS}: {row.id} stands twice")
        seen.add(row.id)
        if row.feature not in FEATURES or not ID.fullmatch(row.id):
            problems.append(f"{ROWS}: {row.id} belongs to no feature")
        if row.verdict not in VERDICTS or not row.behaviour:
            problems.append(f"{ROWS}: {row.id} has no verdict of {', '.join(VERDICTS)}, or no text")
        if (row.verdict == "N-A") != bool(row.reason):
            problems.append(f"{ROWS}: {row.id}: a reason belongs to N-A, and N-A needs one")
    return found


def named(path, line, text, name, problems):
    if SHORTENED.search(text):
        problems.append(f"{path}:{line}: write every id out: {text}")
    return [Claim(i, path, line, name) for i in ID.findall(text)]


def claims(problems):
    found = []
    for file in sorted((ROOT / "tests").rglob("*.cpp")):
        path, raw = str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
        if path.startswith("tests/must_not_compile/"):
            # The first comments of the file say what is refused.
            text = " ".join(line for line in raw.splitlines() if line.startswith("//"))
            found += named(path, 1, text, "", problems)
            continue
        text = without_comments(raw)
        for case in CASE.finditer(text):
            if re.search(r"\bskip\((true)?\)", case.group(3)):
                continue
            name = "".join(literal[1:-1] for literal in re.findall(LITERAL, case.group(2)))
            found += named(path, text.count("\n", 0, case.start()) + 1, name, name, problems)
    for file in sorted((ROOT / "docs").rglob("*.md")):
        path, text = str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
        for comment in re.finditer(r"<!-- row: ([^>]*?) -->", text):
            if path != PAGE:
                found += named(path, text.count("\n", 0, comment.start()) + 1, comment.group(1), "", problems)
    return found


def cell(text):
    return text.replace("|", "\\|")


def tests_of(mine):
    """Each file once, with its cases behind it."""
    files = {}
    for claim in mine:
        names = files.setdefault(claim.path, [])
        if claim.name and claim.name not in names:
            names.append(claim.name)
    return "<br>".join(f"`{path}`" + "".join(f": {cell(ID_LIST.sub('', name))}" if i == 0 else
                                             f"; {cell(ID_LIST.sub('', name))}" for i, name in enumerate(names))
                       for path, names in files.items())


# What a case's name begins with; the page says the ids already.
ID_LIST = re.compile(r"^(?:[A-Z]+-?\d+(?:, | and )?)+(?::| on)\s*")


def status(row, mine):
    if row.verdict == "N-A":
        return "does not apply"
    return "proven" if mine else "open"


def totals(all_rows, by_id):
    yield "| feature | rows | proven | open | do not apply |"
    yield "|---|---:|---:|---:|---:|"
    for feature, title in [*FEATURES.items(), (None, "**all**")]:
        here = [row for row in all_rows if feature in (None, row.feature)]
        states = [status(row, by_id.get(row.id)) for row in here]
        counts = " | ".join(str(states.count(s)) for s in ("proven", "open", "does not apply"))
        link = f"[{title}](#{re.sub(r'[^a-z0-9_ -]', '', title.lower()).replace(' ', '-')})" if feature else title
        yield f"| {link} | {len(here)} | {counts} |"


def page(all_rows, all_claims):
    by_id = {}
    for claim in all_claims:
        by_id.setdefault(claim.id, []).append(claim)
    required = [row for row in all_rows if row.verdict in ("MUST", "DEV")]
    proven = sum(1 for row in required if by_id.get(row.id))
    lines = [
        "# Conformance",
        "",
        "What magpie keeps of asyncio's semantics, what it decided otherwise, and the test that proves each row.",
        f"Written by `tools/conformance.py` from `{ROWS}` and the names of the tests; not to be edited.",
        "",
        "MUST holds as in asyncio; DEV holds too, and differs from asyncio on purpose, as the row says; SHOULD is",
        "worth having; N-A does not apply, for the reason given.",
        "",
        f"**{proven} of the {len(required)} rows that must hold (MUST and DEV) are proven by a test.**",
        "",
        *totals(all_rows, by_id),
        "",
        "## Decisions",
        "",
        "Where the rows had to choose. Test names cite these ids too.",
        "",
        "| id | question | asyncio | magpie |",
        "|---|---|---|---|",
        *("| " + " | ".join(map(cell, cells)) + " |" for cells in table(DECISIONS, 4)),
    ]
    for feature, title in FEATURES.items():
        lines += ["", f"## {title}", "", "| id | | behaviour | status | test |", "|---|---|---|---|---|"]
        for row in all_rows:
            if row.feature == feature:
                mine = by_id.get(row.id, [])
                where = row.reason if row.verdict == "N-A" else tests_of(mine)
                lines.append(f"| {row.id} | {row.verdict} | {cell(row.behaviour)} | {status(row, mine)} | {where} |")
    return "\n".join(lines) + "\n"


def main():
    option = sys.argv[1] if len(sys.argv) > 1 else ""
    if option not in ("", "--check", "--missing"):
        sys.exit(__doc__)
    problems = []
    all_rows = rows(problems)
    all_claims = claims(problems)
    claimed = {claim.id for claim in all_claims}

    if option == "--missing":
        wanted = ("MUST", "DEV", "SHOULD") if sys.argv[2:] == ["SHOULD"] else ("MUST", "DEV")
        for row in all_rows:
            if row.verdict in wanted and row.id not in claimed:
                print(f"{row.id:9} {row.verdict:6} {row.behaviour}")
        return 0

    known = {row.id for row in all_rows} | {cells[0] for cells in table(DECISIONS, 4)}
    for claim in all_claims:
        if claim.id not in known:
            problems.append(f"{claim.path}:{claim.line}: {claim.id} is no row of {ROWS}")
    text = page(all_rows, all_claims)
    if option == "--check":
        for row in all_rows:
            if row.verdict in ("MUST", "DEV") and row.id not in claimed:
                problems.append(f"{ROWS}: {row.id} ({row.verdict}) is claimed by no test: {row.behaviour}")
        if not (ROOT / PAGE).exists() or (ROOT / PAGE).read_text(encoding="utf-8") != text:
            problems.append(f"{PAGE}:1: out of date: run tools/conformance.py")
    else:
        (ROOT / PAGE).write_text(text, encoding="utf-8")
    return report("conformance", problems)


if __name__ == "__main__":
    sys.exit(main())
