"""One picture with a panel for each row: a dot for each twin and number of workers, on a logarithmic axis."""

import math

from scheduler import tables
from scheduler.twins import KINDS

COLUMNS = 3
PANEL = (4.6, 2.1)  # inches
# With so many workers: marker, face of the dot, offset from the twin's line.
DOTS = {0: ("o", "full", 0.0), 1: ("o", "empty", -0.17), 2: ("o", "full", 0.17)}


def color_of(name):
    return "#d62728" if KINDS[name].ours else "#1f5f99"


def draw_panel(axes, results, row):
    names = results.present(row)[::-1]  # the first at the top
    values = []
    for at, name in enumerate(names):
        for workers in row.workers:
            runs = results.of(row, name, workers)
            if not runs:
                continue
            found = [max(row.figure.of(run, row), 1e-3) for run in runs]
            middle = max(tables.median(runs, row), 1e-3)
            marker, face, offset = DOTS[workers]
            color = color_of(name)
            axes.plot([min(found), max(found)], [at + offset] * 2, color=color, linewidth=1)
            axes.plot([middle], [at + offset], marker, color=color, markersize=5,
                      markerfacecolor=color if face == "full" else "white")
            axes.annotate(row.figure.text(tables.median(runs, row)), (max(found), at + offset), xytext=(5, 0),
                          textcoords="offset points", va="center", fontsize=6.5, color="#444444")
            values += found
    axes.set_xscale("log")
    least, most = min(values) / 1.5, max(values) * 1.3
    axes.set_xlim(least, most * (most / least)**0.3)  # room for the last figure
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks(range(len(names)), names, fontsize=7.5)
    axes.xaxis.set_minor_locator(axes.xaxis.get_major_locator().__class__(base=10, subs=()))
    axes.tick_params(axis="x", labelbottom=False, length=0)
    axes.grid(True, axis="y", color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_title(row.title, loc="left", fontsize=8.5)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def draw(document, rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = tables.Results(document["runs"])
    shown = [row for row in rows if results.present(row)]
    if not shown:
        return
    lines = math.ceil(len(shown) / COLUMNS)
    figure, grid = pyplot.subplots(lines, COLUMNS, figsize=(PANEL[0] * COLUMNS, PANEL[1] * lines + 0.5), dpi=110,
                                   squeeze=False)
    for axes, row in zip(grid.flat, shown):
        draw_panel(axes, results, row)
    for axes in grid.flat[len(shown):]:
        axes.set_visible(False)
    figure.suptitle("least to the left, logarithmic; ○ 1 worker, ● 2 workers; lines from the least to the greatest run",
                    fontsize=9, x=0.01, ha="left")
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(path)
    pyplot.close(figure)
