"""What a peer must be able to do. One module per program; NAMES says which class runs which column."""
import importlib
import os

from lab import wait_for

NAMES = {
    "syncthing": ("syncthing", "Syncthing"),
    "syncthing-d10": ("syncthing", "SyncthingDefault"),
    "rsync": ("rsync", "Rsync"),
    "unison": ("unison", "Unison"),
    "unison-repeat1": ("unison", "UnisonRepeat"),
    "lefting": ("lefting", "Lefting"),
    "lefting-plain": ("lefting", "LeftingPlain"),
}


def load(name):
    module, cls = NAMES[name]
    return getattr(importlib.import_module("peers." + module), cls)


class Unsupported(Exception):
    """This peer has no such operation; the text says why."""


class Peer:
    continuous = True       # False: a command that is run once per change (see sync)
    only = None             # the scenarios this variant is for; None: all
    max_nodes = 99

    def __init__(self, lab, opts):
        self.lab, self.nodes, self.opts = lab, lab.nodes, opts

    @classmethod
    def missing(cls, opts):
        """Why this peer cannot run here, or None."""
        return None

    @classmethod
    def version(cls, opts):
        return ""

    def start(self):
        for n in self.nodes:
            self.start_node(n)

    def start_node(self, node):
        raise NotImplementedError

    def stop(self):
        for n in self.nodes:
            n.kill()

    def sync_start(self):
        """One-shot peers: starts the command(s) that bring A's state to the others; returns them."""
        raise NotImplementedError

    def rescan(self, timeout):
        """A full rescan of A that finds nothing, from call to end."""
        raise Unsupported("no such operation")

    def settle(self, timeout):
        """Returns once nothing is under way any more."""
        self.lab.quiet(timeout)

    def ready(self, timeout):
        """A file put into A has reached every other host: all are up, connected and in sync."""
        if not self.continuous:
            return
        with open(os.path.join(self.nodes[0].share, "canary.txt"), "w") as f:
            f.write("canary\n")
        for n in self.nodes[1:]:
            path = os.path.join(n.share, "canary.txt")
            wait_for(lambda: os.path.exists(path) and os.path.getsize(path) == 7, timeout, 0.05)
        self.settle(timeout)
