"""What the dashboards show, as pictures for docs: ``python -m tests.exporters.picture URL START END DIR``.

No Grafana is to be had where this is built, so each panel's own query is asked of a Prometheus, and drawn plainly with
matplotlib (pip install it; nothing else here needs it). Grafana draws it better; the numbers are the same.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import matplotlib.pyplot as plt

from exporters.grafana.board import Board, Panel
from exporters.grafana.make import BOARDS

COLOURS = {"0": "#8a3ffc", "1": "#42be65"}


def ask(url: str, query: str, start: float, end: float) -> list[Any]:
    """A query's series between two times."""
    query = query.replace("$playbook", ".+").replace("$__rate_interval", "10s")
    words = urlencode({"query": query, "start": start, "end": end, "step": max(1, (end - start) / 300)})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{words}", timeout=20) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def name(legend: str, labels: dict[str, str]) -> str:
    """A series' legend, as Grafana fills it."""
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend.replace("{{role}}", "").replace("  ", " ")


def draw(axes: Any, panel: Panel, series: list[tuple[str, list[tuple[float, float]]]]) -> None:
    """One panel."""
    axes.set_title(panel.title, fontsize=9, loc="left", fontweight="bold")
    axes.tick_params(labelsize=7)
    if not series:
        axes.text(0.5, 0.5, "no data", ha="center", fontsize=9, color="grey")
        axes.set_axis_off()
    elif panel.shape == "lines":
        for legend, points in series:
            axes.plot([t for t, _ in points], [v for _, v in points], label=legend)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=6, loc="upper left")
    elif panel.shape == "states":
        for row, (_, points) in enumerate(series):
            for at, value in points:
                axes.barh(row, 1.2, left=at, color=COLOURS["1" if value >= 1 else "0"], height=0.7)
        axes.set_yticks(range(len(series)), [legend for legend, _ in series])
    elif panel.shape == "bars":
        axes.barh([legend for legend, _ in series], [points[-1][1] for _, points in series], color="#4589ff")
    else:
        words = {value: text for value, text, _ in panel.words}
        for row, (legend, points) in enumerate(series[:5]):
            value = f"{points[-1][1]:g}"
            axes.text(0.02, 0.8 - 0.2 * row, f"{words.get(value, value)}  {legend}", fontsize=11)
        axes.set_axis_off()


def picture(board: Board, url: str, start: float, end: float, path: Path) -> None:
    """A dashboard, its panels in two columns."""
    panels = [panel for _, row in board.rows for panel in row]
    rows = (len(panels) + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(12, 2.1 * rows), squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        found = [
            (name(legend, each["metric"]), [(float(t) - start, float(v)) for t, v in each["values"]])
            for query, legend in panel.queries
            for each in ask(url, query, start, end)
        ]
        draw(axes, panel, found)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(f"{board.title}  (seconds)", fontsize=12, fontweight="bold")
    figure.tight_layout()
    figure.savefig(path, dpi=72)
    plt.close(figure)


if __name__ == "__main__":
    for each in BOARDS:
        picture(each, sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]) / f"{each.uid}.png")
