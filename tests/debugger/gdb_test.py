#!/usr/bin/env python3
"""gdb_test.py PROGRAM SOURCE SCRIPT

tools/gdb/magpie_gdb.py on a process and on its core file: every task of waiting_program.cpp is shown where it waits, and
damaged memory is survived. 77, skipped: there is no gdb with Python, or it may not attach to a process.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PATIENCE = 300  # seconds; nothing is expected to take long
ATTEMPTS = 5    # the program may not have come to rest yet


def gdb(*commands, target):
    arguments = ["gdb", "-q", "-nx", "--batch", "-ex", "set width 0", "-ex", "set debuginfod enabled off", *target]
    for each in commands:
        arguments += ["-ex", each]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
    return done.stdout + done.stderr


def lines_of(source):
    """name -> the line that has the comment `at: name`."""
    found = {}
    for number, line in enumerate(pathlib.Path(source).read_text(encoding="utf-8").splitlines(), start=1):
        match = re.search(r"// at: (\w+)", line)
        if match:
            found[match.group(1)] = number
    return found


def part(text, begin, end="\n"):
    return text.split(begin, 1)[1].split(end, 1)[0] if begin in text else ""


def expected(at):
    """Regular expressions for `magpie tasks`; every line of the tree loses its bars."""
    def frame(name):
        return rf"{name} +waiting_program\.cpp:{at[name]}\b"
    def task(name, wait, *frames):
        return rf'task \d+ "{name}" - {wait}.* - spawned at waiting_program\.cpp:\d+.*' + "".join(rf"\n{frame(each)}" for each in frames)
    sleeps, event = "\n" + frame("sleeps"), "\n" + frame("waits_for_event")
    return {
        "two runtimes": r'runtime 1 "magpie": 2 workers(.|\n)*runtime 2 "second": 1 workers, 1 tasks: 1 suspended',
        "gather, nested below who awaits it": task("joining", 'waits for task \\d+ "gathering"', "joins") + "\n"
            + task("gathering", "waits for gather of 2", "calls_gathers", "gathers"),
        "a gather's first child": r"child - waits for sleep.*\n" + frame("calls_sleeps") + sleeps,
        "a gather's second child": r"child - waits for event" + event,
        "select": task("selecting", "waits for select of 2", "selects"),
        "shielded": task("shielding", "waits for what it shields - cancel requested, not delivered", "shields")
            + r"\nchild - waits for sleep.*" + sleeps,
        "queue": task("getting", "waits for queue get, 0 items of 4", "gets"),
        "semaphore": task("acquiring", r"waits for semaphore .*no_permits.*, 0 of 0 available", "acquires"),
        "a socket": task("reading", r"waits for io \w+ on descriptor \d+", "reads"),
        "batch": task("batching", "waits for a batch's items", "batches") + r"(\nchild - waits for sleep.*" + sleeps + r"){7}\n",
        "group": task("grouping", "waits for the tasks of its group, 2 left", "owns_a_group")
            + r'\ntask \d+ "in the group" - waits for sleep.*' + sleeps + r"\ntask \d+ - waits for event.*" + event,
        "a template": task("generic", "waits for event", "generic"),
        "running": rf'task \d+ "spinner" - running on worker \d \(thread \d+\)(, stuck)? - .*\nspins +waiting_program\.cpp:{at["spins"]} \(runs\)',
        "ready": r'task \d+ "behind" - ready, has not begun',
        "main": task("the first", "waits for event", "main_task"),
    }


def check(output, wanted, problems):
    plain = re.sub(r"^[|` ]*(- )?", "", output, flags=re.M)
    for what, pattern in wanted.items():
        if not re.search(pattern, plain):
            problems.append(what)


def look(target, at, script, extra=()):
    """All commands in one run of gdb; what is wrong with what they say."""
    output = gdb(f"source {script}", *extra, "echo <tree>\\n", "magpie tasks --limit 0", "echo <group>\\n", "magpie tasks --group",
                 "echo <pattern>\\n", "magpie tasks --limit 2 waits_for_event", "echo <one>\\n", "magpie task reading",
                 "echo <workers>\\n", "magpie workers", "echo <wrong>\\n", "magpie task nobody", "echo <end>\\n", target=target)
    problems = []
    tree = part(output, "<tree>\n", "<group>")
    check(tree, expected(at), problems)
    for line in tree.splitlines():
        if "300 of 300" in line:
            problems.append(line)
    if len(re.findall(rf"sleeps +waiting_program\.cpp:{at['sleeps']}\b", tree)) != 300 + 1 + 1 + 1 + 7 + 1:
        problems.append("not every child of the large gather, or one twice")
    grouped = part(output, "<group>\n", "<pattern>")
    check(grouped, {
        "250 that are alike": r"250 tasks \(\d+, \d+, \d+, \.\.\.\) - waits for event - spawned at .*\nwaits_for_event",
        "300 children that are alike": rf"3\d\d tasks - waits for sleep\nsleeps waiting_program\.cpp:{at['sleeps']}"}, problems)
    check(part(output, "<pattern>\n", "<one>"), {"limited": r"\.\.\. \d+ more; `--limit 0` shows all"}, problems)
    check(part(output, "<one>\n", "<workers>"), {
        "one task": rf'task \d+ "reading" of runtime 1\n(.|\n)*0x[0-9a-f]+ in reads +waiting_program\.cpp:{at["reads"]}\b'}, problems)
    check(part(output, "<workers>\n", "<wrong>"), {
        "workers": r"worker 0, thread \d+ \(LWP \d+\): (.|\n)*worker 1, thread \d+ \(LWP \d+\): ",
        "who spins": r'runs task \d+ "spinner".*1 pinned'}, problems)
    if "no task nobody is alive" not in output:
        problems.append("a task that is not there")
    if "Traceback" in output or "Python Exception" in output:
        problems.append("an exception in the script")
    return problems, output


def damage(process, script):
    """Frames and records that hold nonsense are shown as such, and the others as before."""
    detail = gdb(f"source {script}", "magpie task gathering", "magpie task selecting", "magpie task acquiring", target=process)
    frames = re.findall(r"#1 +(0x[0-9a-f]+) in ", detail)
    contexts = re.findall(r"task_context\*\) (0x[0-9a-f]+)", detail)
    waiters = re.findall(r"waiter\*\) (0x[0-9a-f]+)", detail)
    if not frames or len(contexts) != 3 or len(waiters) != 3:
        return ["no addresses to damage"], detail
    output = gdb(f"source {script}",
                 f"set {{unsigned long}}({frames[0]} + 16) = 0x10",       # a frame whose awaiter is nowhere
                 f"set {{unsigned long}}({contexts[1]} + 16) = 0x123458",  # a record that names another
                 f"set {{unsigned long}}({waiters[2]}) = 0x7",             # an object without a type
                 "magpie tasks --limit 0", "magpie tasks --group", "magpie task gathering", "magpie workers", target=process)
    problems = [] if output.count("<unreadable>") >= 2 else ["damage is not told"]
    if "Traceback" in output or "Python Exception" in output:
        problems.append("an exception in the script")
    if not re.search(r'task \d+ "reading" - waits for io', output):
        problems.append("the others are not shown")
    return problems, output


def main():
    program, source, script = sys.argv[1:]
    try:
        if "3" not in gdb("python print(1 + 2)", target=[]):
            print("gdb has no Python")
            return 77
    except FileNotFoundError:
        print("gdb is not installed")
        return 77
    at = lines_of(source)
    # One arena: a core file has every page that the allocator has reserved.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True, env=environment) as process, \
            tempfile.TemporaryDirectory() as folder:
        try:
            process.stdout.readline()
            live, core = ["-p", str(process.pid)], os.path.join(folder, "core")
            for attempt in range(ATTEMPTS):
                problems, output = look(live, at, script, extra=[f"gcore {core}"])
                if "Operation not permitted" in output or "ptrace: " in output:
                    print("gdb may not attach to a process here")
                    return 77
                if not problems:
                    break
                time.sleep(1)
            if not problems:
                problems, output = look([program, core], at, script)
                problems = [f"core file: {each}" for each in problems]
            if not problems:
                problems, output = damage(live, script)
                problems = [f"damaged: {each}" for each in problems]
        finally:
            process.kill()
    if problems:
        sys.exit(f"{output}\nnot as expected: {'; '.join(problems)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
