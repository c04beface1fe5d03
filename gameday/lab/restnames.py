"""Names of operations that a REST protocol says with method and path, for the services that the lab hooks."""

from __future__ import annotations

import re

NAME = r"/[^/]+"
PATHS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "scheduler": (
        ("POST", rf"/schedules{NAME}", "CreateSchedule"),
        ("PUT", rf"/schedules{NAME}", "UpdateSchedule"),
        ("GET", rf"/schedules{NAME}", "GetSchedule"),
        ("DELETE", rf"/schedules{NAME}", "DeleteSchedule"),
        ("GET", r"/schedules", "ListSchedules"),
        ("POST", rf"/schedule-groups{NAME}", "CreateScheduleGroup"),
        ("GET", rf"/schedule-groups{NAME}", "GetScheduleGroup"),
        ("DELETE", rf"/schedule-groups{NAME}", "DeleteScheduleGroup"),
        ("GET", r"/schedule-groups", "ListScheduleGroups"),
    ),
    "lambda": (
        ("GET", r"/2015-03-31/functions", "ListFunctions"),
        ("POST", r"/2015-03-31/functions", "CreateFunction"),
        ("GET", rf"/2015-03-31/functions{NAME}", "GetFunction"),
        ("GET", rf"/2015-03-31/functions{NAME}/configuration", "GetFunctionConfiguration"),
        ("POST", rf"/2015-03-31/functions{NAME}/invocations", "Invoke"),
    ),
    "elasticfilesystem": (("GET", r"/2015-02-01/file-systems", "DescribeFileSystems"),),
    "s3control": (
        ("PUT", r"/v20180820/configuration/publicAccessBlock", "PutAccountPublicAccessBlock"),
        ("GET", r"/v20180820/configuration/publicAccessBlock", "GetAccountPublicAccessBlock"),
        ("DELETE", r"/v20180820/configuration/publicAccessBlock", "DeleteAccountPublicAccessBlock"),
    ),
}


def rest_operation(service: str, method: str, path: str) -> str:
    """The operation's name, or method and path when the lab does not know it."""
    for verb, pattern, name in PATHS.get(service, ()):
        if verb == method and re.fullmatch(pattern, path.rstrip("/")):
            return name
    return f"{method} {path}"
