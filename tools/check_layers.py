#!/usr/bin/env python3
"""The rules on who may include what, and where a few words may be spelled.

 1. combinators/ includes runtime/; io/ includes runtime/ and combinators/; runtime/ includes itself.
 2. No circle between files.
 3. detail/ is for the library and its tests: not for tools/, examples/ and benchmarks/. It does not
    include the public headers of its own layer, but for the vocabulary named below.
 4. scheduler/ and loop/ are included only by themselves and by .cpp files of the library, by tests and
    by benchmarks.
 5. liburing only in io/ (and the tests of io/); no public header includes liburing, {fmt} or toml++.
 6. The library includes its headers as <magpie/...>, never in quotes.
 7. examples/ use public headers only.
 8. (Every public header compiles alone: the target magpie_verify_headers.)
 9. thread_local occurs in one file.
10. std::atomic and its kin are spelled in one file; a bare seq_cst fence nowhere else.
11. Every header of a layer has its test file.
"""

import re
import sys

from sources import LAYERS, ROOT, code_only, cpp_files, read, report, without_comments

MAY_INCLUDE = {
    "runtime": {"runtime"},
    "combinators": {"combinators", "runtime"},
    "io": {"io", "combinators", "runtime"},
}

# The composition root: the one place that knows both the workers and the event loop they park in.
UPWARD = {"runtime/runtime.cpp": "io/loop/"}

# Public headers that a detail/ of their own layer may build on: types that its templates hold by value. Rule 2 sees
# to it that none of them leans back on what includes it.
VOCABULARY = {
    "runtime/awaitable.hpp",
    "runtime/clock.hpp",
    "runtime/config.hpp",
    "runtime/errors.hpp",
    "runtime/hooks.hpp",
    "runtime/outcome.hpp",
    "runtime/task.hpp",
    "combinators/async_generator.hpp",
    "combinators/completed_item.hpp",
    "combinators/policy.hpp",
    "combinators/progress.hpp",
    "io/fd.hpp",
    "io/result.hpp",
}

PRIVATE_PARTS = ("scheduler", "loop")
THREAD_LOCAL_HOME = "runtime/scheduler/current.cpp"
ATOMIC_HOME = "runtime/detail/atomic.hpp"
THIRD_PARTY = re.compile(r"^(liburing|linux/io_uring|fmt/|toml\+\+)")

# Headers that are seen only through one awaitable or primitive -> that one, whose test file covers them.
TESTED_WITH = {
    "combinators/detail/batch_core.hpp": "batch",
    "combinators/detail/batch_driver.hpp": "batch",
    "combinators/detail/batch_input.hpp": "batch",
    "combinators/detail/batch_run.hpp": "batch",
    "combinators/detail/batch_source.hpp": "async_source",
    "combinators/detail/child_set.hpp": "gather_range",
    "combinators/completed_item.hpp": "as_completed",
    "combinators/detail/completed_child.hpp": "as_completed",
    "combinators/detail/completion_core.hpp": "as_completed",
    "combinators/detail/deadline_scope.hpp": "timeout",
    "combinators/detail/expected_like.hpp": "batch",
    "combinators/detail/fixed_block.hpp": "gather_range",
    "combinators/detail/gather_argument.hpp": "gather_values",
    "combinators/detail/gather_bounded.hpp": "gather_range",
    "combinators/detail/gather_child.hpp": "gather",
    "combinators/detail/gather_pack.hpp": "gather",
    "combinators/detail/generator_source.hpp": "async_source",
    "combinators/detail/group_core.hpp": "task_group",
    "combinators/detail/group_spawner.hpp": "task_group",
    "combinators/detail/lifo_order.hpp": "lifo_queue",
    "combinators/detail/limit_control.hpp": "limiter",
    "combinators/detail/limit_sample.hpp": "limiter",
    "combinators/detail/locked_word.hpp": "mutex",
    "combinators/detail/permit_waiter.hpp": "semaphore",
    "combinators/detail/priority_order.hpp": "priority_queue",
    "combinators/detail/queue_core.hpp": "queue",
    "combinators/detail/queue_item.hpp": "queue",
    "combinators/detail/retry_policy.hpp": "retry",
    "combinators/detail/scope_request.hpp": "timeout",
    "combinators/detail/select_join.hpp": "select",
    "combinators/detail/semaphore_core.hpp": "semaphore",
    "combinators/detail/shield_awaiter.hpp": "shield",
    "combinators/detail/success_race.hpp": "first_success",
    "combinators/detail/task_awaiter.hpp": "retry",
    "combinators/detail/thread_call.hpp": "to_thread",
    "combinators/detail/timeout_awaiter.hpp": "timeout",
    "combinators/detail/token_bucket.hpp": "rate_limiter",
    "combinators/detail/wait_core.hpp": "wait",
    "combinators/detail/wait_list.hpp": "event",
    "combinators/policy.hpp": "gather",
    "combinators/progress.hpp": "batch",
    "runtime/detail/future_state.hpp": "future",
    "runtime/detail/named_limits.hpp": "reload",
    "runtime/detail/task_locals.hpp": "task_local",
    "runtime/scheduler/limit_slot.hpp": "reload",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class includes:
    """One #include: the file it stands in, its line, and what it names."""

    def __init__(self, path, line, quoted, name):
        self.path, self.line, self.quoted, self.name = path, line, quoted, name
        self.where = f"{path}:{line}"
        self.target = name.removeprefix("magpie/") if name.startswith("magpie/") else None
        self.layer = self.target.split("/")[0] if self.target and "/" in self.target else None
        self.folders = self.target.split("/")[:-1] if self.target else []


def included_by(path):
    text = without_comments(read(path))
    for match in INCLUDE.finditer(text):
        yield includes(str(path), line_of(text, match.start()), match.group(1) == '"', match.group(2))


def check_direction(inc, layer):
    if inc.layer is None or layer not in MAY_INCLUDE or inc.layer in MAY_INCLUDE[layer]:
        return
    if inc.target.startswith(UPWARD.get(inc.path, "\0")):
        return
    yield f"{inc.where}: rule 1: {layer}/ must not include {inc.target}"


def check_detail(inc, layer):
    in_detail = "detail" in inc.path.split("/")
    if "detail" in inc.folders and layer in ("tools", "examples", "benchmarks"):
        yield f"{inc.where}: rule 3: {layer}/ must not include {inc.target}"
    if in_detail and layer in LAYERS and inc.layer == layer and len(inc.folders) == 1:
        if inc.target not in VOCABULARY:
            yield f"{inc.where}: rule 3: detail/ must not include the public {inc.target}"


def check_private_parts(inc, layer):
    part = next((p for p in PRIVATE_PARTS if p in inc.folders), None)
    if part is None or layer in ("tests", "benchmarks"):
        return
    inside = inc.path.startswith(f"{inc.layer}/{part}/")
    if not inside and not (layer in LAYERS and inc.path.endswith(".cpp")):
        yield f"{inc.where}: rule 4: {inc.target} is not for {inc.path}"


def check_third_party(inc, layer):
    if not THIRD_PARTY.match(inc.name):
        return
    uring = inc.name.startswith(("liburing", "linux/io_uring"))
    if uring and layer in ("runtime", "combinators"):
        yield f"{inc.where}: rule 5: liburing is for io/"
    public = inc.path.endswith(".hpp") and not any(f"/{p}/" in inc.path for p in PRIVATE_PARTS)
    if layer in LAYERS and public:
        yield f"{inc.where}: rule 5: a public header must not include {inc.name}"


def check_spelling_of_includes(inc, layer):
    if layer in LAYERS and inc.quoted:
        yield f'{inc.where}: rule 6: "{inc.name}" in quotes; write <magpie/...>'
    if layer in LAYERS and inc.layer in LAYERS and not (ROOT / inc.target).exists():
        yield f"{inc.where}: rule 6: {inc.target} does not exist"
    if layer == "examples" and inc.target and len(inc.folders) > 1:
        yield f"{inc.where}: rule 7: examples use public headers only"


def check_words(path):
    code = code_only(read(path))
    words = (
        (r"\bthread_local\b", THREAD_LOCAL_HOME, "rule 9: thread_local"),
        (r"\bstd::(atomic\w*|memory_order\w*)\b|#[ \t]*include[ \t]*<atomic>", ATOMIC_HOME, "rule 10: std::atomic"),
        (r"\batomic_thread_fence\b", ATOMIC_HOME, "rule 10: a bare fence"),
    )
    for pattern, home, what in words:
        if str(path) != home:
            for match in re.finditer(pattern, code):
                yield f"{path}:{line_of(code, match.start())}: {what} is spelled in {home} alone"


def check_circles(graph):
    """Depth first; a file met again while it is still open closes a circle."""
    state, trail = {}, []

    def visit(node):
        state[node] = "open"
        trail.append(node)
        for following in graph.get(node, ()):
            if state.get(following) == "open":
                yield "rule 2: circle: " + " -> ".join(trail[trail.index(following):] + [following])
            elif following not in state:
                yield from visit(following)
        trail.pop()
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            yield from visit(node)


def check_tests():
    for path in cpp_files(*LAYERS):
        if path.suffix == ".hpp":
            folder = f"tests/{path.parts[0]}"
            own, shared = f"{folder}/{path.stem}_test.cpp", TESTED_WITH.get(str(path))
            test = f"{folder}/{shared}_test.cpp" if shared else own
            if not (ROOT / test).exists():
                yield f"{path}:1: rule 11: no {test}"
            elif shared and (ROOT / own).exists():
                yield f"{path}:1: rule 11: has a test file of its own; TESTED_WITH is not needed"
    for path in TESTED_WITH:
        if (ROOT / path).parent.exists() and not (ROOT / path).exists():
            yield f"{path}:1: rule 11: is gone; TESTED_WITH is not needed"


def main():
    sys.setrecursionlimit(10_000)
    problems, graph = [], {}
    for path in cpp_files():
        layer = path.parts[0]
        edges = list(included_by(path))
        graph[str(path)] = [e.target for e in edges if e.layer in LAYERS]
        for inc in edges:
            for check in (check_direction, check_detail, check_private_parts, check_third_party,
                          check_spelling_of_includes):
                problems += check(inc, layer)
        if layer in LAYERS:
            problems += check_words(path)
    problems += check_circles(graph)
    problems += check_tests()
    return report("check_layers", problems)


if __name__ == "__main__":
    sys.exit(main())
