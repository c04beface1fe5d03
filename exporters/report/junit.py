"""The report as JUnit XML: each expectation a test case, so that CI shows a game day as it shows tests."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from exporters.report.model import Expectation, ProbeReport, Report
from exporters.text import clean
from gameday.sdk import Closed

_LEFT = {
    Closed.ABANDONED: "left as it is on purpose: somebody abandoned the run",
    Closed.DRIFTED: "left alone: somebody else changed it meanwhile",
    Closed.KEPT: "was asked to stay",
}


def render(report: Report) -> str:
    """Write one suite: the expectations, and that everything was put back."""
    suite = Element(
        "testsuite",
        name=clean(report.playbook) or "run",
        time=f"{report.seconds:.3f}",
        timestamp=report.started[:19],
        hostname=clean(report.surroundings.machine),
    )
    properties = SubElement(suite, "properties")
    for name, value in (("run", report.run), ("verdict", report.ending.verdict), ("last-event", report.chain.head)):
        SubElement(properties, "property", name=name, value=clean(value))
    for probe in report.probes:
        for one in probe.expectations:
            _case(suite, report, probe, one)
    _restored(suite, report)
    _verdict(suite, report)
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    root = Element("testsuites", name="gameday")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, report: Report, probe: ProbeReport, one: Expectation) -> None:
    seconds = one.seconds or 0.0
    expected = " or ".join(map(clean, one.expected))
    case = SubElement(
        suite,
        "testcase",
        classname=f"{clean(report.playbook)}.{one.phase}",
        name=f"{clean(probe.facts.name)} is {expected}",
        time=f"{seconds:.3f}",
    )
    seen = clean(f"{one.cause} {one.code}".strip())
    why = clean(one.why) or f"saw {seen or 'nothing'}"
    if one.result == "broken":
        SubElement(case, "failure", type=one.cause or "broken", message=why).text = f"expected {expected}, saw {seen}"
    elif one.result == "inconclusive":
        SubElement(case, "error", type="inconclusive", message=why)
    elif one.result == "not reached":
        SubElement(case, "skipped", message="not checked: the run ended before")


def _restored(suite: Element, report: Report) -> None:
    case = SubElement(suite, "testcase", classname=f"{clean(report.playbook)}.rollback", name="everything is put back")
    case.set("time", f"{sum(one.seconds or 0.0 for one in report.rollbacks):.3f}")
    if report.ending.still_changed:
        failure = SubElement(case, "failure", type="rollback incomplete", message=clean(report.ending.finish_with))
        failure.text = "\n".join(clean(one) for one in report.ending.still_changed)
        return
    left = [one for one in report.changes if one.state not in (Closed.RESTORED, "not changed")]
    for how in (Closed.ABANDONED, Closed.DRIFTED, Closed.KEPT):
        named = "\n".join(
            f"{clean(one.uses)} on {clean(one.resource)}: {clean(one.detail)}" for one in left if one.state == how
        )
        if named:
            SubElement(case, "skipped" if how is Closed.KEPT else "error", type=how, message=_LEFT[how]).text = named
            return


def _verdict(suite: Element, report: Report) -> None:
    """The run as a whole: it may fail where every expectation that was reached held; what is counted already is not."""
    case = SubElement(suite, "testcase", classname=clean(report.playbook) or "run", name="verdict")
    verdict, story = report.ending.verdict, clean(report.ending.story)
    if suite.find("testcase/failure") is not None or suite.find("testcase/error") is not None:
        SubElement(case, "system-out").text = f"{verdict}: {story}"
    elif verdict in ("failed", "rollback incomplete"):
        SubElement(case, "failure", type=verdict, message=story)
    elif verdict != "passed":
        SubElement(case, "error", type=verdict, message=story)
