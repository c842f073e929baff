"""What the tables of every group are made of."""

import statistics


def spread(values, text):
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} [{text(min(values))} – {text(max(values))}]"


def line(cells):
    return "| " + " | ".join(cells) + " |"


def head(names):
    """Of a table whose first column is text and whose others are figures."""
    return [line(names), "|---|" + "---:|" * (len(names) - 1)]


def count(runs):
    """Of the repetitions behind a figure."""
    return str(len(runs)) + ("" if all(run["kept"] for run in runs) else " disturbed")


def context(document, title):
    described = document["machine"]
    yield f"# {title}"
    yield ""
    yield (f"{described['processor']}, {described['cpus']} CPUs; Linux {described['kernel']}; {described['compiler']}; "
           f"magpie {described['commit']}; {described['date']}")
    yield ""


def versions_and_gaps(document):
    yield "Versions: " + "; ".join(f"{name} {version}" for name, version in document["versions"].items()) + "."
    yield ""
    for sentence in document["skipped"]:
        yield f"Skipped: {sentence}."
        yield ""
