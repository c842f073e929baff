"""A picture for each scenario: which latency is not exceeded by which share of the light requests."""

import statistics

from tails import tables

# Told apart by line as well as by colour.
STYLES = {
    "magpie": {"color": "#d62728", "linewidth": 2.6, "zorder": 5},
    "magpie without rescue": {"color": "#d62728", "linewidth": 1.4, "linestyle": (0, (4, 2))},
    "tokio": {"color": "#1f77b4", "linewidth": 1.6},
    "go": {"color": "#2ca02c", "linewidth": 1.6, "linestyle": "-."},
    "asio": {"color": "#9467bd", "linewidth": 1.6, "linestyle": (0, (6, 1.5, 1, 1.5, 1, 1.5))},
    "liburing": {"color": "#555555", "linewidth": 1.6, "linestyle": ":"},
}
SHARES = (0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
LATENCIES = ((10, "10 µs"), (30, "30 µs"), (100, "100 µs"), (300, "300 µs"), (1e3, "1 ms"), (3e3, "3 ms"),
             (1e4, "10 ms"), (3e4, "30 ms"), (1e5, "100 ms"), (3e5, "300 ms"), (1e6, "1 s"), (3e6, "3 s"),
             (1e7, "10 s"))


POINTS = 500


def percentiles(run, shares):
    """What those shares of the light requests do not exceed; the shares ascend."""
    buckets, total = run["light"]["buckets"], run["light"]["count"]
    found, at, seen = [], 0, 0
    for share in shares:
        while at + 1 < len(buckets) and seen + buckets[at][1] <= share * total:
            seen += buckets[at][1]
            at += 1
        found.append(buckets[at][0])
    return found


def curve(runs):
    """(1 / (1 - share), latency) for shares up to all but one request; each latency is the median of the runs."""
    runs = [run for run in runs if run["light"]["count"] > 0]
    if not runs:
        return [], []
    furthest = min(run["light"]["count"] for run in runs)
    xs = [furthest**(i / (POINTS - 1)) for i in range(POINTS)]
    columns = [percentiles(run, [1 - 1 / x for x in xs]) for run in runs]
    return xs, [statistics.median(values) for values in zip(*columns)]


def draw(document, scenario, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10.5, 5.4), dpi=110)
    present = {run["server"] for run in document["runs"] if run["scenario"] == scenario.name}
    names = [name for name in STYLES if name in present]
    furthest, lowest, highest = 100, 1e9, 0
    for name in names:
        xs, ys = curve(tables.selected(document["runs"], scenario.name, name))
        if not xs:
            continue
        axes.plot(xs, ys, label=name, **STYLES[name])
        furthest = max(furthest, xs[-1])
        tenth = next(y for x, y in zip(xs, ys) if x >= 1 / 0.9)
        lowest, highest = min(lowest, tenth), max(highest, ys[-1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, furthest * 1.1)
    axes.set_ylim(lowest / 1.5, highest * 1.4)
    shares = [share for share in SHARES if 1 / (1 - share) <= furthest * 1.1]
    axes.set_xticks([1 / (1 - share) for share in shares], [f"{share * 100:.5g} %" for share in shares])
    shown = [(value, text) for value, text in LATENCIES if lowest / 1.5 <= value <= highest * 1.4]
    axes.set_yticks([value for value, _ in shown], [text for _, text in shown])
    axes.minorticks_off()
    axes.grid(True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the light requests, the slowest to the right")
    axes.set_ylabel("latency from the moment it was meant to be sent")
    axes.set_title(scenario.title, loc="left", fontsize=12)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, handlelength=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
