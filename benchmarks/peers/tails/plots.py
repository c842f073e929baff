"""A picture for each scenario: which latency is not exceeded by which share of the light requests."""

import collections

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
LATENCIES = ((10, "10 µs"), (30, "30 µs"), (100, "100 µs"), (300, "300 µs"), (1e3, "1 ms"), (3e3, "3 ms"), (1e4, "10 ms"),
             (3e4, "30 ms"), (1e5, "100 ms"), (3e5, "300 ms"), (1e6, "1 s"), (3e6, "3 s"), (1e7, "10 s"))


def curve(runs):
    """All runs as one: (1 / (1 - share), latency) for each latency that occurred."""
    counts = collections.Counter()
    for run in runs:
        for latency, count in run["light"]["buckets"]:
            counts[latency] += count
    total, seen = sum(counts.values()), 0
    xs, ys = [], []
    for latency in sorted(counts):
        xs.append(total / (total - seen))
        ys.append(latency)
        seen += counts[latency]
    if xs:
        xs.append(total)
        ys.append(ys[-1])
    return xs, ys


def draw(document, scenario, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.5, 5.6), dpi=110)
    names = list(dict.fromkeys(run["server"] for run in document["runs"] if run["scenario"] == scenario.name))
    furthest, lowest, highest = 100, 1e9, 0
    for name in names:
        xs, ys = curve(tables.selected(document["runs"], scenario.name, name))
        if not xs:
            continue
        axes.plot(xs, ys, drawstyle="steps-post", label=name, **STYLES.get(name, {}))
        furthest = max(furthest, xs[-1])
        half = next(y for x, y in zip(reversed(xs), reversed(ys)) if x <= 2)
        lowest, highest = min(lowest, half), max(highest, ys[-1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, furthest * 1.1)
    axes.set_ylim(lowest / 2.5, highest * 1.4)
    shares = [share for share in SHARES if 1 / (1 - share) <= furthest * 1.1]
    axes.set_xticks([1 / (1 - share) for share in shares], [f"{share * 100:.5g} %" for share in shares])
    shown = [(value, text) for value, text in LATENCIES if lowest / 2.5 <= value <= highest * 1.4]
    axes.set_yticks([value for value, _ in shown], [text for _, text in shown])
    axes.minorticks_off()
    axes.grid(True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the light requests, the slowest to the right")
    axes.set_ylabel("latency from the moment it was meant to be sent")
    axes.set_title(scenario.title, loc="left", fontsize=12)
    axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
