"""f: look-ups by several processes on one segment, and reloads from a store, by state_bench."""
import json
import os
import subprocess

from instance.report import Row

LOOKUPS_A_SECOND = 1e6


def shared(bench, raw):
    program = os.path.join(bench.programs, "state_bench")
    if not os.path.exists(program):
        raise RuntimeError(f"{program} is missing; build with -DLEFTING_TESTS=ON")
    done = subprocess.run([program, str(bench.files), "--json"], capture_output=True, text=True,
                          timeout=1800)
    if done.returncode != 0:
        raise RuntimeError(f"state_bench: {done.stderr.strip()}")
    raw.update(json.loads(done.stdout))
    rows = []
    for look in ("mark", "find"):
        each = raw[f"{look}_beside_writer"]
        rows += [Row("f", f"{look}: two readers together", sum(each), "M/s", least=LOOKUPS_A_SECOND,
                     note=f"beside a writer of {raw[f'{look}_writes'] / 1e3:.0f} k/s; alone "
                          f"{raw[f'{look}_alone'] / 1e6:.2f} M/s"),
                 Row("f", f"{look}: the slower of them", min(each), "M/s", least=LOOKUPS_A_SECOND,
                     note=f"{os.cpu_count()} cores for three processes")]
    rows += [Row("f", "a shard's reload", raw["shard_reload_s"], "ms",
                 note=f"median of all; the longest {raw['shard_reload_most_s'] * 1e3:.1f} ms"),
             Row("f", "reload of all shards", raw["all_reload_s"], "s"),
             Row("f", "longest wait of a reader beside reloads", raw["longest_wait_s"], "ms",
                 note=f"without reloads {raw['longest_calm_wait_s'] * 1e3:.1f} ms")]
    return rows
