#!/usr/bin/env python3
"""What the scheduler would do on machines that nobody has at hand: a model with 8 to 128 workers.

scale_model.py                          the tables of docs/scale.md
scale_model.py --workers 8 --work tree  one line; --json, --seed N, --tasks N (for each worker), --wake-two

A discrete-event simulation of the rules in runtime/scheduler/: private forks that are exposed on request, run queues
that are robbed by halves, an inject queue under one lock, at most half of the workers searching, one wake-up at a time,
spinning before sleeping. The same seed gives the same figures. What a step costs comes from the constants below; a cache
line or lock that many want is a resource that serves one after the other. Left out: the kernel's scheduler (each worker
has a CPU), memory bandwidth, the joins' own work, rescue.
"""

import argparse
import collections
import heapq
import json
import random

# Nanoseconds, and where each comes from: measured on a machine with two cores, or guessed.
LINE = 110           # a cache line that another core has written: half of a measured hand-over and back, 220 one way
TASK = 40            # a spawned task's queueing and turn: guessed, a third of what benchmarks/spawn_local takes in all
FORK = 15            # a forked task that nobody steals: measured, benchmarks/fork_join
WAKE_SENDER = 11000  # what waking a sleeper costs who does it: 10 to 12 us by every mechanism: measured
WAKE_LATENCY = 25000  # until it runs: 18 to 33 us, measured
LOCK = 40            # a spin lock's section without its lines, a few stores: guessed
CACHED = 2           # a look at a line that has not changed: guessed
# From the code.
RUN_QUEUE = 256      # run_queue_capacity
PER_LOOK = 32        # injected_per_look
EXPOSED = 8          # forks_per_exposure
INTERVAL = 61        # config.event_interval
PASSES = 4           # search_passes
PAUSE = 1000         # relaxes_per_pass
FEW, PATIENCE, MOST_LOOKS = 4, 10, 100
SPIN = 50000         # config.spin

WORKS = ("tree", "echo", "uneven", "foreign", "burst")
COUNTERS = ("steals", "stolen", "passes", "probes", "lines", "wakeups", "parks")


class Resource:
    """A lock, or a line that is written by many: serves one at a time."""

    def __init__(self):
        self.free_at = 0
        self.waited = 0

    def use(self, now, hold):
        start = max(now, self.free_at)
        self.waited += start - now
        self.free_at = start + hold
        return self.free_at


class Worker:
    def __init__(self, index):
        self.index = index
        self.queue = collections.deque()  # the run queue: thieves take from the left, as the owner does
        self.forks = []                   # the owner takes from the right
        self.state = "awake"              # awake, searching, parked
        self.asked = False
        self.first = self.taken = 0       # the queue's oldest, as an index; turns
        self.spin_pays = True
        self.parked_at = 0
        self.glances = {}
        self.debt = 0  # nanoseconds that it has still to pay for wake-ups


class Model:
    def __init__(self, workers, seed, wake_two=False):
        self.random = random.Random(seed)
        self.workers = [Worker(i) for i in range(workers)]
        self.now, self.order, self.events = 0, 0, []
        self.inject, self.inject_lock, self.counts = collections.deque(), Resource(), Resource()
        self.searching, self.parked = 0, []
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.ran, self.made, self.latencies, self.started = collections.Counter(), 0, [], {}
        self.wake_two = wake_two
        self.last_end = 0

    # --- Time.

    def at(self, time, what, *arguments):
        self.order += 1
        heapq.heappush(self.events, (time, self.order, what, arguments))

    def run(self):
        while self.events:
            self.now, _, what, arguments = heapq.heappop(self.events)
            what(*arguments)

    def lines(self, count):
        self.counters["lines"] += count
        return count * LINE

    def change_counts(self, time):
        self.counters["lines"] += 1
        return self.counts.use(time, LINE)

    # --- Tasks: (identity, made at, nanoseconds of work, depth of the tree below it).

    def make(self, work, depth=0, time=None):
        self.made += 1
        return (self.made, self.now if time is None else time, work, depth)

    def execute(self, w, task, now):
        identity, made_at, work, depth = task
        self.ran[identity] += 1
        self.started.setdefault(w.index, now)
        end = now + work + (FORK if w.forks or depth else TASK)
        w.taken += 1
        self.at(end, self.finished, w, made_at, work, depth)

    def finished(self, w, made_at, work, depth):
        self.latencies.append(self.now - made_at)
        self.last_end = max(self.last_end, self.now)
        time = self.now
        if depth:
            for _ in range(2):
                w.forks.append(self.make(work, depth - 1))
            if w.asked or self.parked:
                time = self.expose(w, time)
        self.go_on(w, time)

    def expose(self, w, time):
        w.asked = False
        count = min(max(min((len(w.forks) + 1) // 2, EXPOSED), len(self.parked) + self.searching), len(w.forks), RUN_QUEUE - len(w.queue))
        w.queue.extend(w.forks[:count])
        del w.forks[:count]
        return self.wake_one(time + self.lines(1))

    def push(self, w, task, time):
        if len(w.queue) == RUN_QUEUE:
            for _ in range(RUN_QUEUE // 2):
                self.inject.append(w.queue.popleft())
                w.first += 1
            time = self.inject_lock.use(time, self.lines(3) + LOCK)
        w.queue.append(task)
        return self.wake_one(time)

    # --- A worker's loop.

    def go_on(self, w, time):
        time += w.debt
        w.debt = 0
        if time > self.now:
            self.at(time, self.go_on, w, time)
            return
        if w.taken % INTERVAL == 0 and self.inject:
            time = self.take_injected(w, time)
        task = None
        if w.forks:
            task = w.forks.pop()
        elif w.queue:
            task = w.queue.popleft()
            w.first += 1
        elif self.inject:
            time = self.take_injected(w, time)
            if w.queue:
                task = w.queue.popleft()
                w.first += 1
        if task is not None:
            self.execute(w, task, self.found_work(w, time))
        else:
            self.search(w, time)

    def take_injected(self, w, time):
        share = min(max(len(self.inject) // len(self.workers), 1), PER_LOOK, RUN_QUEUE - len(w.queue))
        more = len(self.inject) > share
        for _ in range(min(share, len(self.inject))):
            w.queue.append(self.inject.popleft())
        time = self.inject_lock.use(time, self.lines(3 + share) + LOCK)
        return self.wake_one(time) if more or len(w.queue) > 1 else time

    def found_work(self, w, time):
        if w.state != "searching":
            return time
        w.state = "awake"
        self.searching -= 1
        time = self.change_counts(time)
        if self.searching == 0 and (w.queue or self.inject or self.others_have_work(w)):
            for _ in range(2 if self.wake_two else 1):
                time = self.wake_one(time, self.wake_two)
        return time

    def others_have_work(self, w):
        return any(each.queue for each in self.workers if each is not w)

    def search(self, w, time):
        if w.state != "searching":
            if 2 * self.searching >= len(self.workers):
                self.begin_to_spin(w, time)
                return
            w.state = "searching"
            self.searching += 1
            time = self.change_counts(time)
        self.at(time, self.search_pass, w, 0)

    def search_pass(self, w, number):
        self.counters["passes"] += 1
        time, count = self.now, len(self.workers)
        first = self.random.randrange(count)
        for i in range(count):
            victim = self.workers[(first + i) % count]
            if victim is w:
                continue
            self.counters["probes"] += 1
            # The request's line, and the queue's two indices, if the victim has touched them.
            active = victim.state == "awake"
            time += self.lines(1 if victim.asked else 2) if active else 3 * CACHED
            if active and victim.queue:
                time += self.lines(1)
            victim.asked = True
            if victim.queue and self.worth_it(w, victim):
                self.go_on(w, self.steal(w, victim, time))
                return
        if number + 1 < PASSES:
            self.at(time + PAUSE, self.search_pass, w, number + 1)
        else:
            self.begin_to_spin(w, time)

    def worth_it(self, w, victim):
        if len(victim.queue) > FEW:
            return True
        oldest, same, looks = w.glances.get(victim.index, (-1, 0, 0))
        same = same + 1 if oldest == victim.first else 0
        looks += 1
        enough = same >= PATIENCE or looks >= MOST_LOOKS
        w.glances[victim.index] = (victim.first, same, 0 if enough else looks)
        return enough

    def steal(self, w, victim, time):
        count = (len(victim.queue) + 1) // 2
        for _ in range(count):
            w.queue.append(victim.queue.popleft())
            victim.first += 1
        self.counters["steals"] += 1
        self.counters["stolen"] += count
        # The claim, the slots, eight to a line, and of the task that is run its record and its frame.
        return time + self.lines(1 + (count + 7) // 8 + 2)

    def begin_to_spin(self, w, time):
        look = PAUSE + len(self.workers) * CACHED
        if w.spin_pays:
            self.at(time + look, self.spin, w, time + SPIN)
        else:
            self.at(time, self.park, w)

    def spin(self, w, until):
        if self.anything_to_do(w):
            self.go_on(w, self.now)
        elif self.now >= until:
            self.park(w)
        else:
            self.at(self.now + PAUSE + len(self.workers) * CACHED, self.spin, w, until)

    def anything_to_do(self, w):
        return bool(w.queue or w.forks or self.inject) or self.others_have_work(w)

    def park(self, w):
        if w.state == "searching":
            self.searching -= 1
        time = self.change_counts(self.now)
        self.counters["lines"] += 1  # the list's lock
        w.state = "parked"
        w.parked_at = time
        self.parked.append(w)
        self.counters["parks"] += 1
        self.at(time, self.second_look, w)

    def second_look(self, w):
        if w.state == "parked" and self.anything_to_do(w):
            self.parked.remove(w)
            w.state = "searching"
            self.searching += 1
            self.go_on(w, self.change_counts(self.now))

    def wake_one(self, time, anyway=False):
        if not self.parked or (self.searching and not anyway):
            return time
        w = self.parked.pop()
        w.state = "searching"
        self.searching += 1
        self.counters["wakeups"] += 1
        time = self.change_counts(time)
        self.at(time + WAKE_LATENCY, self.woken, w)
        return time + WAKE_SENDER

    def woken(self, w):
        w.spin_pays = self.now - w.parked_at < 2 * SPIN
        self.go_on(w, self.now)

    # --- What comes from outside.

    def complete(self, w, task):
        """An operation of w's loop: it wakes w if it sleeps, without anybody's help. Taking it in is a push."""
        w.queue.append(task)
        if w.state == "parked":
            self.parked.remove(w)
            w.state = "awake"
            w.spin_pays = self.now - w.parked_at < 2 * SPIN
            self.at(self.now + WAKE_LATENCY, self.completed, w)
        else:
            w.debt += self.wake_one(self.now) - self.now

    def completed(self, w):
        self.go_on(w, self.wake_one(self.now))

    def post(self, remaining, gap, work):
        self.inject.append(self.make(work))
        time = self.inject_lock.use(self.now, self.lines(3) + LOCK)
        time = self.wake_one(time)
        if remaining > 1:
            self.at(max(time, self.now + gap), self.post, remaining - 1, gap, work)


def set_up(model, work, tasks):
    """Returns the nanoseconds of work."""
    workers, count = model.workers, len(model.workers)
    awake = workers[:1] if work in ("tree", "burst") else []
    for w in workers:
        if w not in awake:
            w.state = "parked"
            model.parked.append(w)
    if work == "tree":
        depth = max((tasks * count).bit_length() - 1, 4)
        workers[0].forks.append(model.make(2000, depth))
    elif work == "burst":
        w = workers[0]
        made = [model.make(10000) for _ in range(tasks * count)]

        def spawn_next(i):
            time = model.push(w, made[i], model.now) + TASK
            if i + 1 < len(made):
                model.at(time, spawn_next, i + 1)
            else:
                model.go_on(w, time)

        model.at(0, spawn_next, 0)
        return 10000 * len(made)
    elif work == "foreign":
        for _ in range(4):
            model.at(0, model.post, tasks * count // 4, 0, 5000)
        return 5000 * (tasks * count // 4) * 4
    else:
        receivers = workers if work == "echo" else workers[: max(count // 8, 1)]
        mean = 5000 / 0.6 / count  # between arrivals: 60 % of what all workers can do
        time = 0
        for _ in range(tasks * count):
            time += model.random.expovariate(1) * mean
            model.at(int(time), model.complete, model.random.choice(receivers), model.make(5000, time=int(time)))
        return 5000 * tasks * count
    model.at(0, model.go_on, workers[0], 0)
    return 2000 * (2 ** (depth + 1) - 1)


def simulate(workers, work, seed=1, tasks=200, wake_two=False):
    model = Model(workers, seed, wake_two)
    nanoseconds = set_up(model, work, tasks)
    model.run()
    if len(model.ran) != model.made or set(model.ran.values()) != {1}:
        raise SystemExit(f"{work}, {workers} workers: {model.made} tasks made, {len(model.ran)} run, some not once")
    latencies = sorted(model.latencies)
    steals = max(model.counters["steals"], 1)
    started = sorted(model.started.values())
    return {
        "workers": workers, "work": work, "tasks": model.made, "milliseconds": round(model.last_end / 1e6, 3),
        "efficiency": round(nanoseconds / (workers * max(model.last_end, 1)), 3),
        "p50_us": round(latencies[len(latencies) // 2] / 1e3, 1),
        "p99_us": round(latencies[len(latencies) * 99 // 100] / 1e3, 1),
        "half_started_us": round(started[(len(started) - 1) // 2] / 1e3, 1), "started": len(started),
        **model.counters, "tasks_per_steal": round(model.counters["stolen"] / steals, 1),
        "lines_per_task": round(model.counters["lines"] / model.made, 2),
        "lines_per_steal": round(model.counters["lines"] / steals, 1),
        "interrupts_per_steal": round(model.counters["wakeups"] / steals, 2),
        "inject_wait_us": round(model.inject_lock.waited / 1e3, 1), "counts_wait_us": round(model.counts.waited / 1e3, 1),
    }


COLUMNS = ("workers", "efficiency", "milliseconds", "p50_us", "p99_us", "half_started_us", "started", "steals", "tasks_per_steal",
           "lines_per_task", "lines_per_steal", "interrupts_per_steal", "wakeups", "inject_wait_us", "counts_wait_us")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[8, 16, 32, 64, 128])
    parser.add_argument("--work", choices=WORKS, nargs="*", default=WORKS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=200, help="for each worker")
    parser.add_argument("--wake-two", action="store_true", help="what if the last searcher that finds work woke two?")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for work in options.work:
        rows = [simulate(n, work, options.seed, options.tasks, options.wake_two) for n in options.workers]
        if options.json:
            for row in rows:
                print(json.dumps(row))
            continue
        print(f"\n{work}\n\n| " + " | ".join(COLUMNS).replace("_", " ") + " |\n|" + "---|" * len(COLUMNS))
        for row in rows:
            print("| " + " | ".join(f"{row[each]:,}" for each in COLUMNS) + " |")


if __name__ == "__main__":
    main()
