"""c: a rescan. d: start and rebuild. e: a role's restart. h: dumpstate."""
import os
import select
import signal
import statistics
import subprocess
import time

from instance import procfs
from instance.node import Control
from instance.memory_figures import sizes_of, whole_instance
from instance.report import Row, mib

RESCANS = 5
RESCAN_FINDS = 2.0
RESCAN_CPU_A_FILE_S = 15e-6
STARTS = 3
START_S = 4.0
REBUILD_S = ((1_000_000, 3.0), (100_000, 0.5))
QUIET_S = 1.5
KILLS = 7
RESTART_S = 0.100
LIST_S = 5.0


def find_seconds(share):
    begin = time.monotonic()
    subprocess.run(["find", share, "-printf", "%s %T@\\n"], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def _rescan_turn(node):
    found = find_seconds(node.share)
    pid = node.pid_of("scanner")
    before = procfs.utime_stime_seconds(pid)
    seconds = node.rescan()
    user, system = (now - then for now, then in zip(procfs.utime_stime_seconds(pid), before))
    return {"find_s": found, "rescan_s": seconds, "user_s": user, "system_s": system}


def rescan(bench, raw):
    """find and rescan in turns, after one of each that warms the kernel's caches."""
    rows = []
    pair = bench.pair()
    for name, node in (("scanned", pair.a), ("received", pair.b)):
        _rescan_turn(node)
        turns = raw[name] = [_rescan_turn(node) for _ in range(RESCANS)]
        middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        cpu = statistics.median(turn["user_s"] + turn["system_s"] for turn in turns)
        rows += [
            Row("c", f"{name}: rescan / find", middle["rescan_s"] / middle["find_s"], "",
                most=RESCAN_FINDS,
                note=f"{middle['rescan_s']:.3f} s / {middle['find_s']:.3f} s, {RESCANS} in turns"),
            Row("c", f"{name}: rescan CPU, a file", cpu / pair.files, "us",
                most=RESCAN_CPU_A_FILE_S,
                note=f"user {middle['user_s']:.2f} s, system {middle['system_s']:.2f} s")]
    return rows


class Growth:
    """Notes when the segment got memory last: after a start that is the end of its rebuild."""

    def __init__(self, node):
        self._node = node
        self._pid = node.supervisor_pid
        self.begin = self.last = time.monotonic()
        self.bytes = 0

    def look(self):
        if not self._node.supervisor_pid and not self._node.find_supervisor():
            return
        size = self._node.segment_bytes()
        if size > self.bytes:
            self.bytes, self.last = size, time.monotonic()

    def wait_quiet(self):
        while time.monotonic() < self.last + QUIET_S:
            self.look()
            time.sleep(0.002)
        return self.last - self.begin


def _restart_turn(node):
    node.stop()
    growth = Growth(node)
    started = node.start(growth.look)
    rebuilt = growth.wait_quiet()
    return {"start_s": started, "rebuild_s": rebuilt, "segment_bytes": growth.bytes}


def start(bench, raw):
    rows = []
    for pair in sorted({bench.pair(), bench.small_pair()}, key=lambda one: one.files):
        limit = next((limit for files, limit in REBUILD_S if pair.files >= files), None)
        for name, node in (("scanned", pair.a), ("received", pair.b)):
            turns = raw[f"{name}, {pair.files} files"] = []
            for _ in range(STARTS):
                turns.append(_restart_turn(node))
                pair.wait_in_sync()
                node.rescan()  # the traversal of the start has ended with it
            middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
            rows += [
                Row("d", f"{name}, {pair.files}: start", middle["start_s"], "s", most=START_S,
                    note=f"until it returns, peer online; {STARTS} times"),
                Row("d", f"{name}, {pair.files}: rebuild", middle["rebuild_s"], "s", most=limit,
                    note="until the segment grows no more; looked at every 2 ms"),
                whole_instance("d", f"{name}, {pair.files}: whole instance then", sizes_of(node))]
    return rows


def _kill_turn(node, role):
    """Kills a role that has been ready for long; returns seconds until its successor is ready."""
    with Control(node.state) as control:
        old = control.roles()[role][1]
        node.processes()
        begin = time.monotonic()
        os.kill(old, signal.SIGKILL)
        looks = 0
        while True:
            looks += 1
            state, pid = control.roles()[role]
            if state == "ready" and pid != old:
                return time.monotonic() - begin, looks
            if time.monotonic() - begin > 60:
                raise TimeoutError(f"{role} is not ready again after 60 s")
            select.select([], [], [], 0.0005)


def restart_roles(bench, raw):
    """`supervisor restart` before each kill: else the supervisor would wait longer each time, as
    for a role that dies again and again."""
    pair = bench.pair()
    rows = []
    for role in ("scanner", "listener", "downloader"):
        seconds, looks = [], []
        for _ in range(KILLS):
            pair.a.run("restart", role, limit_s=120)
            if role == "scanner":
                pair.a.rescan()  # its first traversal has ended with that
            took, count = _kill_turn(pair.a, role)
            seconds.append(took)
            looks.append(took / count)
        raw[role] = {"seconds": seconds, "resolution_s": max(looks)}
        rows.append(Row("e", f"{role}: killed to ready", statistics.median(seconds), "ms",
                        most=RESTART_S,
                        note=f"median of {KILLS}; {min(seconds) * 1e3:.1f} to "
                             f"{max(seconds) * 1e3:.1f} ms; looked at every "
                             f"{max(looks) * 1e3:.1f} ms"))
    pair.a.rescan()
    pair.wait_in_sync()
    return rows


def _list_turn(command):
    """Seconds and the most memory of one dumpstate, output thrown away."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    pidfd = os.pidfd_open(process.pid)
    peak = anon = 0
    while not select.select([pidfd], [], [], 0.005)[0]:
        try:
            now_peak, now_anon = procfs.peak_memory(process.pid)
        except (FileNotFoundError, ProcessLookupError):
            break
        peak, anon = max(peak, now_peak), max(anon, now_anon)
    os.close(pidfd)
    if process.wait() != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return {"s": time.monotonic() - begin, "peak_rss_bytes": peak, "peak_own_bytes": anon}


def _count_paths(command, mark):
    """How often `mark` stands in the output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    count, rest = 0, b""
    while piece := process.stdout.read(1 << 20):
        piece = rest + piece
        count += piece.count(mark)
        rest = piece[-(len(mark) - 1):] if len(mark) > 1 else b""
    process.stdout.close()
    if process.wait() != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return count


def dumpstate(bench, raw):
    pair = bench.pair()
    rows = []
    for words, mark in ((["files"], b"/folder-"), (["--json"], b'{"path":"area-')):
        command = pair.a.command("dumpstate", *words)
        turns = raw[" ".join(words)] = [_list_turn(command) for _ in range(3)]
        count = _count_paths(command, mark)
        middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        what = f"dumpstate {' '.join(words)}"
        if count != pair.files:
            rows.append(Row("h", what, None, "s", note=f"it lists {count} files of {pair.files}"))
            continue
        rows += [Row("h", what, middle["s"], "s", most=LIST_S, note=f"lists all {count} files"),
                 Row("h", f"{what}: peak RSS", middle["peak_rss_bytes"], "MiB",
                     note=f"{mib(middle['peak_own_bytes'])} MiB of it its own, the rest the "
                          "segment and libraries")]
    return rows
