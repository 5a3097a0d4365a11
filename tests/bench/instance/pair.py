"""Two instances on loopback, one of which has files and the other receives them."""
import os
import time

from instance import procfs, tree
from instance.node import Node, ticket_count

LOOK_S = 0.5


def total(memory, field):
    return sum(sizes[field] for sizes in memory.values())


class Pair:
    def __init__(self, bench, files):
        self.files, self.say = files, bench.say
        folder = os.path.join(bench.folder, f"pair-{files}")
        self.a = Node(bench.programs, folder, "a", bench.plain)
        self.b = Node(bench.programs, folder, "b", bench.plain)
        self.a.peers, self.b.peers = [self.b.peer_words()], [self.a.peer_words()]
        self.raw = {"files": files}
        self.is_filled = False
        self._limit_s = 600 + files / 300

    @property
    def nodes(self):
        return (self.a, self.b)

    def fill(self):
        """Makes the files and brings both in sync: `raw` says how long each part took."""
        begin = time.monotonic()
        tree.make(self.a.share, self.files)
        self.raw["make_files_s"] = time.monotonic() - begin
        self.raw["average_path_bytes"] = tree.average_path_bytes(self.files)
        self.say(f"{self.files} files made in {self.raw['make_files_s']:.1f} s")
        self._scan()
        self._sync()
        self.is_filled = True

    def _scan(self):
        begin = time.monotonic()
        self.raw["first_start_s"] = self.a.start()
        procfs.wait_until(lambda: self.a.status()["counts"]["files"] >= self.files,
                          self._limit_s, 0.2, "initial scan")
        self.raw["scan_s"] = time.monotonic() - begin
        self.raw["scan_cpu_s"] = self._cpu(self.a)
        self.say(f"scanned in {self.raw['scan_s']:.1f} s, CPU {self.raw['scan_cpu_s']}")

    def _sync(self):
        before = self._cpu(self.a)
        begin = time.monotonic()
        history = []
        self.raw["receiver_start_s"] = self.b.start()
        self.say(f"the receiver's start returned after {self.raw['receiver_start_s']:.1f} s")
        self.wait_in_sync(lambda: history.append(self._sample(time.monotonic() - begin)))
        self.raw["sync_s"] = time.monotonic() - begin
        after = self._cpu(self.a)
        self.raw["sync_cpu_s"] = {
            "a": {name: used - before.get(name, 0) for name, used in after.items()},
            "b": self._cpu(self.b)}
        self.raw["sync_history"] = history
        self.say(f"in sync after {self.raw['sync_s']:.1f} s, CPU {self.raw['sync_cpu_s']}")

    def _cpu(self, node):
        return {name: round(procfs.cpu_seconds(pid), 3) for pid, name in node.processes().items()}

    def _sample(self, seconds):
        status = self.b.status()
        memory = {node.name: node.memory() for node in self.nodes}
        sample = {"s": round(seconds, 2), "files": status["counts"]["files"],
                  "tickets": ticket_count(status), "used_bytes": status["segment"]["used_bytes"],
                  "segment_bytes": self.b.segment_bytes(), "store": self.b.store_bytes(),
                  "anon": {name: {program: sizes["Pss_Anon"] for program, sizes in one.items()}
                           for name, one in memory.items()},
                  "pss": {name: total(one, "Pss") for name, one in memory.items()}}
        if int(seconds) % 10 == 0:
            self.say(f"{seconds:6.1f} s: {sample['files']} files, {sample['tickets']} tickets, "
                     f"segment {sample['segment_bytes'] >> 20} MiB, "
                     f"memory {sample['pss']['b'] >> 20} MiB")
        return sample

    def in_sync(self):
        """Each has stored all changes of the other, and nothing is left to do."""
        one, other = self.a.status(), self.b.status()
        if ticket_count(one) or ticket_count(other):
            return False
        if one["counts"]["files"] != self.files or other["counts"]["files"] != self.files:
            return False
        return _has_seen(one, other) and _has_seen(other, one)

    def wait_in_sync(self, look=lambda: None):
        def holds():
            look()
            return self.in_sync()
        procfs.wait_until(holds, self._limit_s, LOOK_S, "both in sync")

    def end(self):
        for node in self.nodes:
            try:
                if node.find_supervisor():
                    node.processes()
                    node.stop()
            except Exception as error:  # whatever happened, the other node is ended too
                self.say(f"{node.name}: {error!r}")
            node.kill_rest()


def _has_seen(status, other):
    return any(peer["seen"] == other["index"]["sequence"] for peer in status["peers"])
