"""Runs the benchmarks, prints the table and writes the JSON file: `python -m benchmarks [flags]`.

Exit code 1: a message was lost, doubled or reordered. Exit code 2: the systems could not be measured.
"""

from __future__ import annotations

import sys

from benchmarks import figures, micro, report, streams
from benchmarks.measure import GeneratorFailed
from benchmarks.options import parse
from benchmarks.run import run, say
from tests.support.children import NotInstalled


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    if arguments[:1] == ["micro"]:
        micro.main()
        return 0
    if arguments[:1] == ["streams"]:
        return streams.main(arguments[1:])
    options = parse(arguments)
    try:
        result = run(options)
    except (NotInstalled, GeneratorFailed) as error:
        say(str(error))
        return 2
    path = report.write(result, options.results)
    phases = (*options.phases, *options.streamed)
    closed = [phase.name for phase in phases if phase.kind == "closed"]
    opened = [phase.name for phase in phases if phase.kind == "open"]
    print(report.markdown(result, closed, opened))
    say(f"written to {path}")
    harms = [figures.harm(rounds) for rounds in result["systems"].values()]
    return int(any(harm["lost"] + harm["doubled"] + harm["reordered"] for harm in harms))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
