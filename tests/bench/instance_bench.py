#!/usr/bin/env python3
"""instance_bench: what whole instances cost at many files, beside their limits.

Makes a share of --files files in a temporary folder, lets one instance scan it and another receive
it over loopback, and measures:

  a  memory and disk a file, and of the whole instance, where it scanned and where it received
  b  growth of the segment over 10 rounds of replacing files
  c  a rescan of unchanged files, against find
  d  start to ready, and the rebuild of the whole segment
  e  each role from kill -9 to ready
  f  look-ups by several processes, and reloads of shards (state_bench)
  g  CPU and wake-ups of an idle pair (of at most 100,000 files)
  h  dumpstate of all files

The limits are for 1,000,000 files: fewer take less of all but the fixed 4 MiB. A figure that can't
be measured says so, and the next one is measured. Ends its own programs by PID and removes what it
made. Exits 0 where all figures were measured, within their limits or not.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

from instance import idle_figures, memory_figures, segment_figures, time_figures  # noqa: E402
from instance.pair import Pair  # noqa: E402
from instance.report import Row, table  # noqa: E402

SMALL_FILES = 100_000
# In this order: b changes the files, so it comes last.
FIGURES = {"f": segment_figures.shared, "a": memory_figures.after_sync, "c": time_figures.rescan,
           "h": time_figures.dumpstate, "e": time_figures.restart_roles, "g": idle_figures.idle,
           "d": time_figures.start, "b": memory_figures.churn}


class Bench:
    """What the figures share: the pairs, each made when it is first needed."""

    def __init__(self, options, folder):
        self.files, self.plain = options.files, not options.tls
        self.programs, self.folder = os.path.abspath(options.bin), folder
        self._begin = time.monotonic()
        self._pairs = {}

    def say(self, text):
        print(f"[{time.monotonic() - self._begin:7.1f}] {text}", file=sys.stderr, flush=True)

    def pair(self):
        return self._pair_of(self.files)

    def small_pair(self):
        return self._pair_of(min(self.files, SMALL_FILES))

    def _pair_of(self, files):
        if files not in self._pairs:
            self._pairs[files] = Pair(self, files)
            self._pairs[files].fill()
        if not self._pairs[files].is_filled:  # a pair that failed once is not tried again
            raise RuntimeError("the pair of instances could not be brought in sync")
        return self._pairs[files]

    def end(self):
        for pair in self._pairs.values():
            pair.end()


def measure(bench, figures):
    rows, raw = [], {}
    for figure in figures:
        bench.say(f"figure {figure}")
        raw[figure] = {}
        try:
            rows += FIGURES[figure](bench, raw[figure])
        except Exception as error:
            bench.say(traceback.format_exc())
            raw[figure]["error"] = repr(error)
            rows.append(Row(figure, FIGURES[figure].__name__, None, "", note=repr(error)))
    return sorted(rows, key=lambda row: row.figure), raw


def machine():
    return {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin", help="folder of the programs")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--only", default=",".join(sorted(FIGURES)), help="figures, as in a,c")
    parser.add_argument("--tls", action="store_true", help="TLS instead of plain connections")
    parser.add_argument("--dir", default=tempfile.gettempdir(), help="where the files are made")
    parser.add_argument("--json", metavar="FILE", help="write the raw numbers too")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if not set(wanted) <= set(FIGURES):
        parser.error(f"--only: figures are {','.join(sorted(FIGURES))}")
    if options.files < 1000:
        parser.error("--files: at least 1000")
    if not os.access(os.path.join(options.bin, "supervisor"), os.X_OK):
        parser.error(f"--bin: no supervisor in {options.bin}; build it with scripts/build release")
    options.only = [figure for figure in FIGURES if figure in wanted]
    return options


def main():
    options = parse_options()
    # Ends as Ctrl-C does: what was started is ended, what was made is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    before = machine()
    folder = tempfile.mkdtemp(prefix="lefting-bench-", dir=options.dir)
    bench = Bench(options, folder)
    try:
        rows, raw = measure(bench, options.only)
    finally:
        bench.end()
        subprocess.run(["rm", "-rf", folder], check=False)  # millions of files: faster than rmtree
    print(f"{options.files} files, {'TLS' if options.tls else 'plain'}, {before}")
    print(table(rows))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": before, "files": options.files, "tls": options.tls,
                       "rows": [row.json() for row in rows], "raw": raw}, file, indent=1)
    return 1 if any(row.value is None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
