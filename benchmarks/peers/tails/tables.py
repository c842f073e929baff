"""The runs as Markdown."""

import statistics

import layout
import repeating
from layout import spread
from tails.servers import KINDS


def time_text(microseconds):
    if microseconds < 1000:
        return f"{microseconds:.0f} µs"
    if microseconds < 10_000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds / 1000:.0f} ms" if microseconds >= 100_000 else f"{microseconds / 1000:.1f} ms"


def microseconds_text(value):
    return f"{value:.1f} µs"


def rate_text(value):
    return f"{value / 1000:.1f} k/s"


def memory_text(value):
    return f"{value / 2**20:.1f} MiB"


def selected(runs, scenario, server):
    return repeating.undisturbed([run for run in runs if run["scenario"] == scenario and run["server"] == server])


def row(runs, has_heavy):
    def of(group, key):
        return [run[group][key] for run in runs]

    cells = [spread(of("light", key), time_text) for key in ("p50", "p99", "p999", "max")]
    if has_heavy:
        cells.append(spread(of("heavy", "p50"), time_text))
    cells.append(spread([run["per_second"] for run in runs], rate_text))
    cells.append(spread([run["server_us_per_answer"] for run in runs], microseconds_text))
    cells.append(spread([run["memory"] for run in runs], memory_text) if all("memory" in run for run in runs) else "")
    cells.append(time_text(statistics.median(of("client_late", "p99"))) if runs[0]["client_late"]["count"] else "")
    cells.append(f"{statistics.median(run['client_cores'] for run in runs):.2f}")
    cells.append(f"{max(run['foreign_cores'] for run in runs):.2f}")
    cells.append(layout.count(runs))
    return cells


def table(runs, scenario):
    present = {run["server"] for run in runs if run["scenario"] == scenario.name}
    names = [name for name in KINDS if name in present]
    has_heavy = "heavy" in scenario.client
    head = ["server", "p50", "p99", "p99.9", "max"] + (["heavy ones' p50"] if has_heavy else []) + [
        "answers", "server's CPU each", "server's memory", "client late, p99", "client's cores", "foreign cores", "n"]
    yield f"## {scenario.name}: {scenario.title}"
    yield ""
    yield from layout.head(head)
    for name in names:
        yield layout.line([name, *row(selected(runs, scenario.name, name), has_heavy)])
    lost = [f"{run['server']} {run['unanswered']}" for run in runs
            if run["scenario"] == scenario.name and run["unanswered"]]
    if lost:
        yield ""
        yield f"Not answered within 10 s after the end: {', '.join(lost)}."
    yield ""


def ratios(runs, scenario, key):
    """Of magpie's to that without rescue, repetition by repetition."""
    def by_repetition(server):
        return {run["repetition"]: run[key] for run in runs
                if run["scenario"] == scenario and run["server"] == server and run["kept"]}

    on, off = by_repetition("magpie"), by_repetition("magpie without rescue")
    return [on[repetition] / off[repetition] for repetition in on if off.get(repetition)]


def price_of_rescue(runs, scenario):
    parts = []
    for key, what in (("per_second", "throughput"), ("server_us_per_answer", "CPU for an answer")):
        values = ratios(runs, scenario, key)
        if values:
            parts.append(f"{what} {spread(values, lambda value: f'× {value:.3f}')}")
    if parts:
        yield f"Rescue on, compared with off, in {scenario}: {', '.join(parts)}."
        yield ""


def report(document, scenarios):
    yield from layout.context(document, "Tails, against peers")
    yield (f"Medians [least – greatest] of n runs of {document['seconds']:g} s; latencies are those of the light "
           "requests, from the moment each was meant to be sent. Two threads a server, the client beside it on the same machine.")
    yield ""
    yield from layout.versions_and_gaps(document)
    for scenario in scenarios:
        if any(run["scenario"] == scenario.name for run in document["runs"]):
            yield from table(document["runs"], scenario)
            if not scenario.open_loop:
                yield from price_of_rescue(document["runs"], scenario.name)
