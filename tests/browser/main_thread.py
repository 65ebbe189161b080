"""Measures the tasks of the page's main thread, in CPU time, and how slow the browser is at the moment."""

from __future__ import annotations

import json

from playwright.sync_api import Page

TRACED = ["toplevel", "disabled-by-default-devtools.timeline"]
REFERENCE = 50  # milliseconds that `WORK` takes on the machine on which the limits were set
WORK = """() => {
  const start = performance.now();
  const list = document.body.appendChild(document.createElement("div"));
  for (let at = 0; at < 3000; at += 1) list.appendChild(document.createElement("p")).textContent = `Paragraph ${at}`;
  const height = list.offsetHeight;
  const sorted = Array.from({length: 60000}, (_, at) => (at * 7919) % 60013).sort((a, b) => a - b);
  list.remove();
  return height && sorted.length && performance.now() - start;
}"""


def slowness(page: Page) -> float:
    """Return how many times slower than `REFERENCE` this browser does a fixed piece of work; at least 1."""
    return max(1.0, float(page.evaluate(WORK)) / REFERENCE)


def tasks(trace: bytes) -> list[float]:
    """Return the CPU time, in milliseconds, of each task on the page's main thread."""
    events = json.loads(trace)["traceEvents"]
    main = {(e["pid"], e["tid"]) for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    took = [e["tdur"] for e in events if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) in main and "tdur" in e]
    assert len(took) > 100  # else nothing was measured
    return [each / 1_000 for each in took]
