#!/usr/bin/env python3
"""gdb_test.py PROGRAM SOURCE SCRIPT

tools/gdb/magpie_gdb.py on a process and on its core file: every task of waiting_program.cpp is shown where it waits,
and damaged memory is survived. 77, skipped: there is no gdb with Python, or it may not attach to a process.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PATIENCE = 300  # seconds; nothing is expected to take long
ATTEMPTS = 3    # the program may not have come to rest yet


def gdb(*commands, target):
    """What gdb says to the commands."""
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
        near = "|".join(str(at[name] + each) for each in range(-3, 4))
        return rf"{name} +waiting_program\.cpp:(?:{at[name]}\b|(?:{near}) \(or near\)).*"
    def task(name, wait, *frames):
        below = "".join(rf"\n{frame(each)}" for each in frames)
        return rf'task \d+ "{name}" - {wait}.* - spawned at waiting_program\.cpp:\d+.*' + below
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
        "batch": task("batching", "waits for a batch's items", "batches")
            + r"(\nchild - waits for sleep.*" + sleeps + r"){7}\n",
        "group": task("grouping", "waits for the tasks of its group, 2 left", "owns_a_group")
            + r'\ntask \d+ "in the group" - waits for sleep.*' + sleeps + r"\ntask \d+ - waits for event.*" + event,
        "a template": task("generic", "waits for event", "generic"),
        "running":
            rf'task \d+ "spinner" - running on worker \d \(thread \d+\)(, stuck)? - .*'
            rf'\nspins +waiting_program\.cpp:{at["spins"]} \(runs\)',
        "ready": r'task \d+ "behind" - ready, has not begun',
        "main": task("the first", "waits for event", "main_task"),
    }


def check(output, wanted, problems):
    plain = re.sub(r"^[|` ]*(- )?", "", output, flags=re.M)
    for what, pattern in wanted.items():
        if not re.search(pattern, plain):
            problems.append(what)


LOOKS = ["echo <tree>\\n", "magpie tasks --limit 0", "echo <group>\\n", "magpie tasks --group", "echo <pattern>\\n",
         "magpie tasks --limit 2 waits_for_event", "echo <one>\\n", "magpie task reading", "echo <workers>\\n",
         "magpie workers", "echo <wrong>\\n", "magpie task nobody", "echo <end>\\n"]

# Frames and records that hold nonsense: an awaiter that is nowhere, a record that names another, an object of no type.
DAMAGE = r"""python
import re
said = "".join(gdb.execute("magpie task " + each, to_string=True) for each in ("gathering", "selecting", "acquiring"))
frame = re.findall(r"#1 +(0x[0-9a-f]+) in ", said)[0]
context = re.findall(r"task_context\*\) (0x[0-9a-f]+)", said)[1]
waiter = re.findall(r"waiter\*\) (0x[0-9a-f]+)", said)[2]
for each in (f"({frame} + 16) = 0x10", f"({context} + 16) = 0x123458", f"{waiter} = 0x7"):
    gdb.execute("set var {unsigned long}" + each)
for each in ("tasks --limit 0", "tasks --group", "task gathering", "workers"):
    gdb.execute("magpie " + each)
end
echo <damage end>\n
"""


def look(output, at):
    """What is wrong with what the LOOKS say."""
    problems = []
    tree = part(output, "<tree>\n", "<group>")
    check(tree, expected(at), problems)
    if len(re.findall(rf"sleeps +waiting_program\.cpp:{at['sleeps']}\b", tree)) != 300 + 1 + 1 + 1 + 7 + 1:
        problems.append("not every child of the large gather, or one twice")
    check(part(output, "<group>\n", "<pattern>"), {
        "250 that are alike": r"250 tasks \(\d+, \d+, \d+, \.\.\.\) - waits for event - spawned at .*\nwaits_for_event",
        "300 children that are alike":
            rf"3\d\d tasks - waits for sleep\nsleeps waiting_program\.cpp:{at['sleeps']}"}, problems)
    check(part(output, "<pattern>\n", "<one>"), {"limited": r"\.\.\. \d+ more; `--limit 0` shows all"}, problems)
    check(part(output, "<one>\n", "<workers>"), {
        "one task": r'task \d+ "reading" of runtime 1\n(.|\n)*'
            rf'0x[0-9a-f]+ in .*reads +waiting_program\.cpp:{at["reads"]}\b'}, problems)
    check(part(output, "<workers>\n", "<wrong>"), {
        "workers": r"worker 0, thread \d+ \(LWP \d+\): (.|\n)*worker 1, thread \d+ \(LWP \d+\): ",
        "who spins": r'runs task \d+ "spinner".*1 pinned'}, problems)
    if "no task nobody is alive" not in output:
        problems.append("a task that is not there")
    if "Traceback" in output or "Python Exception" in output:
        problems.append("an exception in the script")
    return problems


def damaged(output):
    """The same after DAMAGE: that is told, and the others are as before."""
    said = part(output, "<end>\n", "<damage end>")
    problems = [] if said.count("<unreadable>") >= 2 else ["damage is not told"]
    if not re.search(r'task \d+ "reading" - waits for io', said):
        problems.append("after damage the others are not shown")
    return problems


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
            core, damage = os.path.join(folder, "core"), os.path.join(folder, "damage.gdb")
            pathlib.Path(damage).write_text(DAMAGE, encoding="utf-8")
            for _ in range(ATTEMPTS):
                output = gdb(f"source {script}", *LOOKS, target=["-p", str(process.pid)])
                if "Operation not permitted" in output or "ptrace: " in output:
                    print("gdb may not attach to a process here")
                    return 77
                problems = look(output, at)
                if not problems:
                    break
                time.sleep(1)
            if not problems:
                output = gdb(f"gcore {core}", f"source {script}", "echo <end>\\n", f"source {damage}",
                             target=["-p", str(process.pid)])
                problems = damaged(output)
            if not problems:
                output = gdb(f"source {script}", *LOOKS, target=[program, core])
                problems = [f"core file: {each}" for each in look(output, at)]
        finally:
            process.kill()
    if problems:
        sys.exit(f"{output}\nnot as expected: {'; '.join(problems)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
