"""`python -m tests.chaos [flags]`: run and print the report. Exit code 1 if an anomaly was found, 2 if a server is missing."""

from __future__ import annotations

import asyncio
import shutil
import sys

from tests.chaos import report
from tests.chaos.options import parse
from tests.chaos.run import run, say
from tests.support.children import NotInstalled


def main(arguments: list[str]) -> int:
    """Run as the flags say; returns the exit code."""
    options = parse(arguments)
    try:
        outcome = asyncio.run(run(options))
    except NotInstalled as error:
        say(str(error))
        return 2
    path = report.write(options, outcome)
    sys.stdout.write(report.markdown(options, outcome) + "\n")
    for name, found in report.anomalies(outcome).items():
        for where in found[: report.EXAMPLES]:
            say(f"{name}: {where}")
    say(f"report: {path}")
    if outcome.clean and not options.keep:
        shutil.rmtree(outcome.directory, ignore_errors=True)
    else:
        say(f"operation logs and process logs are kept in {outcome.directory}")
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
