#!/usr/bin/env python3
"""Benchmark of folder synchronisers on one machine; see README.md.

    ./run.py                              every peer found, every scenario
    ./run.py --peers syncthing,lefting --scenarios bulk,latency
    ./run.py --table results/x.jsonl      print the table of an earlier run
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab
import limits
import peers
import scenarios

ORDER = ["bulk", "delta-inplace", "delta-insert", "delta-other", "rename", "many-small", "latency", "rescan", "idle", "restart", "fan-out"]
# The limit that stands beside a scenario's time.
LIMIT = {"bulk": "tcp-copy", "restart": "tcp-copy", "many-small": "cp-tree", "rescan": "find"}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peers", default=",".join(peers.NAMES))
    p.add_argument("--scenarios", default=",".join(ORDER), help="of " + ", ".join(ORDER))
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--long", type=float, default=20, help="runs above this many seconds are made twice, above three times as many once")
    p.add_argument("--size", type=int, default=1024, help="bulk file, MiB")
    p.add_argument("--files", type=int, default=10000)
    p.add_argument("--folders", type=int, default=100)
    p.add_argument("--latency-repeats", type=int, default=10)
    p.add_argument("--rescan-files", type=int, default=100000)
    p.add_argument("--rescan-folders", type=int, default=1000)
    p.add_argument("--idle", type=float, default=30, help="seconds of the idle window")
    p.add_argument("--receivers", type=int, default=4)
    p.add_argument("--fan-size", type=int, default=256, help="fan-out file, MiB")
    p.add_argument("--link-mbit", type=int, default=0, help="what each host's link carries each way, Mbit/s; 0: what the machine can")
    p.add_argument("--link-ms", type=float, default=0, help="how late each packet comes, in milliseconds each way; not with --link-mbit")
    p.add_argument("--timeout", type=float, default=180, help="seconds for one wait")
    p.add_argument("--delta-timeout", type=float, default=60, help="the same for deltas and renames")
    p.add_argument("--budget", type=float, default=2700, help="no new run is begun after this many seconds")
    p.add_argument("--root", default="/tmp", help="a directory on the disk to be measured")
    p.add_argument("--no-ballast", action="store_true", help="leave free memory as it is, see lab.Ballast")
    p.add_argument("--calm", type=float, default=20, help="seconds to wait for other jobs to become idle before each measurement")
    p.add_argument("--out", default=os.path.join(tempfile.gettempdir(), "lefting-bench", time.strftime("%Y%m%d-%H%M%S") + ".jsonl"))
    p.add_argument("--no-limits", action="store_true")
    p.add_argument("--lefting-bin", default="build/release/bin")
    p.add_argument("--keep-logs", help="copy the peers' logs to this directory")
    p.add_argument("--table", nargs="+", help="only print the table of these result files")
    o = p.parse_args()
    o.peers, o.scenarios = o.peers.split(","), o.scenarios.split(",")
    o.parts = set(o.scenarios)
    o.lefting_bin = os.path.abspath(o.lefting_bin)
    bad = [s for s in o.scenarios if s not in ORDER] + [x for x in o.peers if x not in peers.NAMES]
    if bad:
        p.error("unknown: " + ", ".join(bad))
    if o.link_mbit and o.link_ms:
        p.error("--link-mbit and --link-ms exclude each other")
    return o


def main():
    o = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that everything is cleaned up
    if o.table:
        return print_table([json.loads(l) for f in o.table for l in open(f)])
    os.makedirs(os.path.dirname(os.path.abspath(o.out)), exist_ok=True)
    if o.keep_logs:
        os.makedirs(o.keep_logs, exist_ok=True)
    records, out, begun = [], open(o.out, "w"), time.monotonic()

    def emit(**rec):
        records.append(rec)
        out.write(json.dumps(rec) + "\n")
        out.flush()
        what = f"{rec['seconds']:.3f} s" if "seconds" in rec else ""
        print(f"[{time.monotonic() - begun:6.0f} s] {rec['scenario']:14} {rec['peer']:15} {what} {rec.get('error', '')}", flush=True)

    o.root = tempfile.mkdtemp(prefix="bench-", dir=o.root)
    try:
        o.ballast = None if o.no_ballast else lab.Ballast(o.root)
        corpus = scenarios.Corpus(o.root, o)
        run = {}
        for name in o.peers:
            cls = peers.load(name)
            why = cls.missing(o)
            if why:
                print(f"{name}: left out: {why}")
            else:
                run[name] = cls
        emit(scenario="setup", peer="-", cpu=platform.processor() or platform.machine(), cores=os.cpu_count(),
             kernel=platform.release(), load=os.getloadavg(), args=sys.argv[1:],
             versions={n: c.version(o) for n, c in run.items()})
        for scenario, play in scenarios.ALL.items():
            parts = scenarios.PARTS.get(scenario, [scenario])
            ended = set()       # peers that need no further repeat
            for repeat in range(o.repeats):
                # All peers within each repeat, so that slow drifts of the machine meet them alike.
                for name, cls in run.items():
                    if name in ended or not scenarios.wanted(o, cls, *parts):
                        continue
                    if time.monotonic() - begun > o.budget:
                        emit(scenario=scenario, peer=name, repeat=repeat, error="not measured: the time budget was used up")
                        ended.add(name)
                        continue
                    t0 = time.monotonic()
                    try:
                        for part, rec in play(o, corpus, cls):
                            emit(scenario=part, peer=name, repeat=repeat, **rec)
                            if "error" in rec:
                                ended.add(name)
                    except peers.Unsupported as e:
                        emit(scenario=scenario, peer=name, repeat=repeat, error=f"not measured: {e}")
                        ended.add(name)
                    except Exception as e:
                        emit(scenario=scenario, peer=name, repeat=repeat, error=f"not measured: {e!r}")
                        ended.add(name)
                    slow = max((r.get("seconds", 0) for r in records if r["peer"] == name and r["scenario"] in parts
                                and r["scenario"] != "idle"), default=0)
                    if repeat + 1 >= repeats_for(o, scenario, slow):
                        ended.add(name)
        if not o.no_limits:
            for _ in range(o.repeats):
                for name, rec in limits.all_limits(o, corpus):
                    emit(scenario="limit", peer=name, **rec)
    finally:
        shutil.rmtree(o.root, ignore_errors=True)
        out.close()
    print()
    print_table(records)
    print(f"\n{o.out}")


def repeats_for(o, scenario, slow):
    if scenario in ("latency", "rescan"):
        return 1        # they repeat within one run
    return 1 if slow > 3 * o.long else min(2, o.repeats) if slow > o.long else o.repeats


def print_table(records):
    med = statistics.median

    def cell(values, scale=1, form="{:.1f}"):
        values = [v for v in values if v is not None]
        return form.format(med(values) / scale) if values else "-"

    for r in records:
        if r["scenario"] == "setup":
            print(f"{r['cores']} cores, {r['kernel']}; " + "; ".join(f"{k}: {v}" for k, v in r["versions"].items()) + "\n")
    limit = {}
    names = list(dict.fromkeys(r["peer"] for r in records if r["scenario"] == "limit"))
    if names:
        print("| limit | n | median s | min–max | MB/s |\n|---|---|---|---|---|")
    for name in names:
        rs = [r for r in records if r["scenario"] == "limit" and r["peer"] == name]
        t = [r["seconds"] for r in rs]
        limit[name] = med(t)
        print(f"| {name} | {len(t)} | {med(t):.3f} | {min(t):.3f}–{max(t):.3f} | "
              f"{cell([r['size'] / r['seconds'] / 1e6 if 'size' in r else None for r in rs], 1, '{:.0f}')} |")
    print("\n| scenario | peer | n | median s | min–max | / limit | / lefting | wire MB | wire / data | source sent MB "
          "| cpu A s | cpu B s | rss A MiB | rss B MiB | other cpu | bytes right | note |")
    print("|---" * 17 + "|")
    for scenario in ORDER:
        rs = [r for r in records if r["scenario"] == scenario]
        times = {p: [r["seconds"] for r in rs if r["peer"] == p and "seconds" in r] for p in dict.fromkeys(r["peer"] for r in rs)}
        base = med(times["lefting"]) if times.get("lefting") else None
        lim = limit.get(LIMIT.get(scenario))
        for p, t in times.items():
            mine = [r for r in rs if r["peer"] == p]
            good = [r for r in mine if "tx" in r]
            note = sorted({r["error"] for r in mine if "error" in r})
            for key in ("min", "max", "lost", "killed_at", "waste", "cpu_pct", "ready_s"):
                values = [r[key] for r in good if r.get(key) is not None]
                if values:
                    note.append(f"{key} {values[0] if isinstance(values[0], list) else round(med(values), 3)}")
            wire = [sum(r["tx"]) for r in good]
            t_cell = f"{med(t):.3f} | {min(t):.3f}–{max(t):.3f}" if t else "- | -"
            over = [f"{med(t) / x:.2f}" if t and x and scenario != "idle" else "-" for x in (lim, base)]
            print(f"| {scenario} | {p} | {len(t) or len(mine)} | {t_cell} | {over[0]} | {over[1]} | {cell(wire, 1e6, '{:.2f}')} "
                  f"| {cell([sum(r['tx']) / r['size'] if r.get('size') else None for r in good], 1, '{:.3f}')} "
                  f"| {cell([r['tx'][0] for r in good], 1e6, '{:.2f}')} "
                  f"| {cell([r['cpu'][0] for r in good], 1, '{:.2f}')} | {cell([max(r['cpu'][1:]) for r in good], 1, '{:.2f}')} "
                  f"| {cell([r['rss'][0] for r in good], 2**20, '{:.0f}')} | {cell([max(r['rss'][1:]) for r in good], 2**20, '{:.0f}')} "
                  f"| {cell([r['other_cpu'] for r in good], 1, '{:.2f}')} "
                  f"| {'-' if not any('verified' in r for r in mine) else 'yes' if all(r.get('verified', True) for r in mine) else 'NO'} "
                  f"| {'; '.join(note)} |")


if __name__ == "__main__":
    main()
