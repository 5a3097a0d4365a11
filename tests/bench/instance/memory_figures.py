"""a: what a file costs in memory and on disk. b: whether replacing files makes that grow."""
import time

from instance import tree
from instance.pair import total
from instance.report import Row, mib

SEGMENT_BYTES_A_FILE = 300
STORE_BYTES_A_FILE = 600
INSTANCE_BYTES = 500 << 20
ROUNDS = 10
MOST_GROWTH = 0.10


def sizes_of(node):
    memory = node.memory()
    segment = max(node.segment_bytes(), node.status()["segment"]["used_bytes"])
    own = total(memory, "Pss_Anon") + total(memory, "Pss_File")
    return {
        "segment_bytes": segment,
        "store": node.store_bytes(),
        "processes": memory,
        "pss_bytes": total(memory, "Pss"),
        # Pages of the segment that no process has touched since it started are in no PSS.
        "own_and_segment_bytes": own + segment,
    }


def whole_instance(figure, what, sizes):
    """PSS counts the segment's shared pages once; the row says whose the memory is."""
    whole = max(sizes["pss_bytes"], sizes["own_and_segment_bytes"])
    each = ", ".join(f"{program} {mib(one['Pss_Anon'] + one['Pss_File'])}"
                     for program, one in sizes["processes"].items())
    return Row(figure, what, whole, "MiB", most=INSTANCE_BYTES,
               note=f"segment {mib(sizes['segment_bytes'])}, own: {each}; "
                    f"PSS {mib(sizes['pss_bytes'])} MiB")


def _rows_of(name, files, sizes):
    store = ", ".join(f"{file} {mib(size)}" for file, size in sizes["store"].items())
    return [
        Row("a", f"{name}: segment, a file", sizes["segment_bytes"] / files, "B",
            most=SEGMENT_BYTES_A_FILE),
        Row("a", f"{name}: store, a file", sum(sizes["store"].values()) / files, "B",
            most=STORE_BYTES_A_FILE, note=store + " MiB"),
        whole_instance("a", f"{name}: whole instance", sizes),
    ]


def after_sync(bench, raw):
    pair = bench.pair()
    files, setup = pair.files, pair.raw
    rows = [Row("a", "initial scan", setup["scan_s"], "s",
                note=f"{files / setup['scan_s']:.0f} files/s, {setup['scan_cpu_s']} s CPU"),
            Row("a", "initial sync, empty receiver", setup["sync_s"], "s",
                note=f"{files / setup['sync_s']:.0f} files/s")]
    for name, node in (("scanned", pair.a), ("received", pair.b)):
        raw[name] = sizes_of(node)
        rows += _rows_of(name, files, raw[name])
    history = setup["sync_history"]
    rows += [Row("a", "received: most during the sync, PSS",
                 max(one["pss"]["b"] for one in history), "MiB"),
             Row("a", "received: most segment during it",
                 max(one["segment_bytes"] for one in history), "MiB"),
             Row("a", "scanned: most during the sync, PSS",
                 max(one["pss"]["a"] for one in history), "MiB")]
    raw["setup"] = setup
    return rows


def churn(bench, raw):
    pair = bench.pair()
    before = {node.name: sizes_of(node) for node in pair.nodes}
    raw["before"], raw["rounds"] = before, []
    for turn in range(1, ROUNDS + 1):
        begin = time.monotonic()
        tree.replace(pair.a.share, pair.files, turn)
        pair.a.rescan()
        pair.wait_in_sync()
        seconds = time.monotonic() - begin
        sizes = {node.name: sizes_of(node) for node in pair.nodes}
        raw["rounds"].append({"s": seconds, **sizes})
        bench.say(f"round {turn}: {seconds:.1f} s until in sync, segment "
                  + ", ".join(f"{name} {mib(one['segment_bytes'])} MiB"
                              for name, one in sizes.items()))
    rows = []
    for name, node in (("scanned", pair.a), ("received", pair.b)):
        first = before[node.name]["segment_bytes"]
        grown = [one[node.name]["segment_bytes"] / first - 1 for one in raw["rounds"]]
        store = sum(raw["rounds"][-1][node.name]["store"].values())
        rows.append(Row("b", f"{name}: segment growth, {ROUNDS} rounds of 10 %", grown[-1], "%",
                        most=MOST_GROWTH,
                        note=f"from {mib(first)} MiB; after rounds 1, 5: {grown[0] * 100:.1f}, "
                             f"{grown[4] * 100:.1f} %; store then {mib(store)} MiB"))
    return rows
