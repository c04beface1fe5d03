"""The dashboards, as JSON that Grafana takes: ``python -m exporters.grafana.make`` writes them beside this file.

Made with grafana-foundation-sdk, so that what is written is what Grafana's own types say. A test holds the files to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import (
    bargauge,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from exporters.grafana.board import BOOK, OWNED, PLAIN, Board, Panel, Steps
from exporters.grafana.game_day import GAME_DAY
from exporters.grafana.probes import PROBES
from exporters.grafana.safety import SAFETY

HERE = Path(__file__).parent
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")

BOARDS = (GAME_DAY, PROBES, SAFETY)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def _mappings(words: Sequence[tuple[str, str, str]]) -> list[models.ValueMap]:
    options = {
        value: models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, text, colour) in enumerate(words)
    }
    return [models.ValueMap(options=options)] if options else []


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel | statetimeline.Panel | bargauge.Panel:
    made: stat.Panel | timeseries.Panel | statetimeline.Panel | bargauge.Panel
    instant = panel.shape in ("stat", "bars")
    if panel.shape == "stat":
        made = stat.Panel().text_mode(common.BigValueTextMode.VALUE_AND_NAME).graph_mode(common.BigValueGraphMode.NONE)
    elif panel.shape == "bars":
        made = bargauge.Panel().orientation(common.VizOrientation.HORIZONTAL).min(0)
    elif panel.shape == "states":
        made = statetimeline.Panel().show_value(common.VisibilityMode.AUTO)
    else:
        made = timeseries.Panel().fill_opacity(8).min(0)
    made = made.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit)
    made = made.thresholds(_thresholds(panel.steps)).mappings(list(_mappings(panel.words)))
    made = made.color_scheme(dashboard.FieldColor().mode(_scheme(panel))).span(panel.width).height(panel.height)
    for number, (expr, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id("ABC"[number]).datasource(SOURCE)
        made = made.with_target(query.instant() if instant else query.range())
    return made


def _scheme(panel: Panel) -> models.FieldColorModeId:
    plain = panel.shape == "lines" and panel.steps is PLAIN
    return models.FieldColorModeId.PALETTE_CLASSIC if plain else models.FieldColorModeId.THRESHOLDS


def _phases() -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name("Phases").datasource(SOURCE).enable(True).icon_color("purple")
    return (
        made.expr(f"max by ({OWNED}, phase) (gameday_run_phase{{{BOOK}}}) > 0")
        .title_format("{{phase}}")
        .text_format("{{playbook}} {{target}}")
        .step("5s")
    )


def _chosen(label: str, title: str) -> dashboard.QueryVariable:
    """A variable over a label; all of them at first, and series of a gameday that had no such label among them."""
    return (
        dashboard.QueryVariable(label)
        .label(title)
        .datasource(SOURCE)
        .query(f"label_values(gameday_probe_info, {label})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def build(board: Board) -> str:
    """A dashboard as JSON."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags(["gameday"])
        .refresh(board.refresh)
        .time(board.since, "now")
        .timezone(common.TimeZoneBrowser)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_chosen("playbook", "Playbook"))
        .with_variable(_chosen("target", "Target"))
        .with_variable(_chosen("account", "Account"))
        .with_variable(_chosen("region", "Region"))
        .with_variable(
            dashboard.TextBoxVariable("reports").label("Reports at").default_value("https://reports.example/gameday")
        )
        .annotation(_phases())
        .link(
            dashboard.DashboardLink("gameday")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["gameday"])
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink("Reports of the runs")
            .type(models.DashboardLinkType.LINK)
            .url("${reports}")
            .tooltip("Where gameday run --report DIR left them")
            .target_blank(True)
        )
    )
    for title, panels in board.rows:
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(made.build())), indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write the dashboards beside this file."""
    for board in BOARDS:
        (HERE / f"{board.uid}.json").write_text(build(board))


if __name__ == "__main__":
    main()
