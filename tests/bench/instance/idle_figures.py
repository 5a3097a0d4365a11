"""g: what an instance costs that has nothing to do."""
import statistics
import time

from instance import procfs
from instance.report import Row

IDLE_CPU = 0.001
WAKE_UPS_A_SECOND = 1.0
WINDOW_S = 60
RESCAN_SECONDS = 3600  # between traversals, where the user has not chosen


def _quiet(pair):
    """Waits until nothing of the start is left to do."""
    for node in pair.nodes:
        node.rescan()
    pair.wait_in_sync()
    for node in pair.nodes:
        procfs.wait_until(lambda: _cpu_of(node, 2.0) < 0.005, 120, 0, f"{node.name}: idle")


def _cpu_of(node, seconds):
    """Parts of one core, over `seconds`."""
    before = {pid: procfs.cpu_seconds(pid) for pid in node.processes()}
    time.sleep(seconds)
    return sum(procfs.cpu_seconds(pid) - used for pid, used in before.items()) / seconds


def _cpu_now(node):
    used = {name: procfs.cpu_seconds(pid) for pid, name in node.processes().items()}
    return used | {"ended children": procfs.reaped_cpu_seconds(node.supervisor_pid)}


def _wakes_now(node):
    """{(program, thread): wake-ups so far}"""
    return {(name, thread): count for pid, name in node.processes().items()
            for thread, count in procfs.wake_ups(pid).items()}


def _window(pair, seconds):
    """Looks each second, into /proc only: nothing is asked of the instances meanwhile."""
    _quiet(pair)
    begin = time.monotonic()
    before = {node.name: _cpu_now(node) for node in pair.nodes}
    wakes = {node.name: [_wakes_now(node)] for node in pair.nodes}
    while time.monotonic() < begin + seconds:
        time.sleep(1)
        for node in pair.nodes:
            wakes[node.name].append(_wakes_now(node))
    took = time.monotonic() - begin
    return {node.name: {"seconds": took,
                        "cpu_s": {name: used - before[node.name].get(name, 0)
                                  for name, used in _cpu_now(node).items()},
                        "threads": _each_second(wakes[node.name], took)} for node in pair.nodes}


def _each_second(looks, seconds):
    """Of each thread: how often it woke in all, and in most seconds. A thread that wakes
    regularly does so in each second, one that has work once in a while does not."""
    threads = {}
    for name, thread in looks[-1]:
        counts = [look.get((name, thread), 0) for look in looks]
        steps = [now - then for then, now in zip(counts, counts[1:])]
        threads[f"{name} {thread}"] = {"a_second": sum(steps) / seconds,
                                       "median_of_seconds": statistics.median(steps)}
    return threads


def _rows_of(window, what):
    used = {name: sum(one["cpu_s"].values()) / one["seconds"] for name, one in window.items()}
    worst = max(used, key=used.get)
    parts = ", ".join(f"{name} {seconds * 1e3:.1f}"
                      for name, seconds in window[worst]["cpu_s"].items())
    regular, rate, whose = max(
        (thread["median_of_seconds"], thread["a_second"], f"{name} of {node}")
        for node, one in window.items() for name, thread in one["threads"].items())
    together = max(sum(thread["a_second"] for thread in one["threads"].values())
                   for one in window.values())
    return [Row("g", f"idle CPU, {what}", used[worst], "%", most=IDLE_CPU,
                note=f"{window[worst]['seconds']:.0f} s, worse of two instances; ms: {parts}"),
            Row("g", f"regular wake-ups of a thread, {what}", regular, "/s", most=WAKE_UPS_A_SECOND,
                note=f"median of the seconds; {whose}: {rate:.2f} /s in all; all threads of an "
                     f"instance {together:.1f} /s")]


def _traversal_cpu_s(node):
    before = sum(_cpu_now(node).values())
    node.rescan()
    return sum(_cpu_now(node).values()) - before


def idle(bench, raw):
    pair = bench.small_pair()
    raw["files"] = pair.files
    raw["no traversal"] = window = _window(pair, WINDOW_S)
    rows = _rows_of(window, "no traversal")
    idle_share = rows[0].value
    traversal = raw["traversal_cpu_s"] = max(_traversal_cpu_s(node) for node in pair.nodes)
    rows.append(Row("g", "idle CPU, default settings", idle_share + traversal / RESCAN_SECONDS, "%",
                    most=IDLE_CPU, note=f"that, and a traversal of {traversal * 1e3:.0f} ms each "
                                        f"{RESCAN_SECONDS} s"))
    return rows
