"""One instance of Lefting: its folders, its programs, and what it says of itself."""
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time

from instance import procfs

STOP_S = 60
START_S = 300
RESCAN_S = 1800
# No traversal falls into a measurement, and what is replaced does not fill the disk.
QUIET = ("--rescan-seconds", "31536000", "--no-trash")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Control:
    """A connection to the control socket. Cheaper than a `supervisor status` for each look."""

    def __init__(self, state):
        # Through the folder's descriptor: a socket's path may have 108 bytes at most.
        folder = os.open(state, os.O_PATH | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(10)
            self._socket.connect(f"/proc/self/fd/{folder}/control.sock")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(folder)
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = struct.unpack("3i", credentials)[0]

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def roles(self):
        """{role: (state, pid)}, from the role board."""
        header = b'{"operation":"status","roles":[],"slots":[]}'
        self._socket.sendall(struct.pack(">II", len(header), 0) + header)
        size = struct.unpack(">II", self._take(8))[0]
        reply = json.loads(self._take(size))
        return {role["role"]: (role["state"], role["pid"]) for role in reply["instance"]["roles"]}

    def _take(self, size):
        taken = b""
        while len(taken) < size:
            piece = self._socket.recv(size - len(taken))
            if not piece:
                raise ConnectionError("the supervisor closed the control socket")
            taken += piece
        return taken


class Node:
    """Starts and stops its own programs only, and knows them by PID and by its own state folder."""

    def __init__(self, programs, folder, name, plain):
        self.programs, self.name, self.plain = programs, name, plain
        self.share = os.path.join(folder, name, "share")
        self.state = os.path.join(folder, name, "state")
        os.makedirs(self.share)
        os.makedirs(self.state, mode=0o700)
        self.address = f"127.0.0.1:{free_port()}"
        self.settings = QUIET
        self.peers = []
        self.supervisor_pid = 0
        self._known = {}  # every process that was seen to be this node's: {pid: program}

    # Commands

    def command(self, program, *arguments):
        return [os.path.join(self.programs, program), *arguments, "--state", self.state]

    def run(self, *arguments, limit_s):
        """A `supervisor` command. Returns its output; raises RuntimeError with what it says."""
        done = subprocess.run(self.command("supervisor", *arguments), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=limit_s)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: supervisor {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def peer_words(self):
        """As which the other node must know this one."""
        if self.plain:
            return self.address
        return self.run("id", limit_s=STOP_S).strip() + "@" + self.address

    def start_command(self):
        arguments = ["start", "--share", self.share, "--listen", self.address, "--name", self.name,
                     *self.settings, *(["--plain"] if self.plain else [])]
        for peer in self.peers:
            arguments += ["--peer", peer]
        return self.command("supervisor", *arguments)

    def start(self, look=lambda: None):
        """Starts the instance, calling look() every 2 ms meanwhile. Returns seconds until it says
        that it runs."""
        begin = time.monotonic()
        starting = subprocess.Popen(self.start_command(), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self._await_start(starting, look)
        except BaseException:
            self._known.update(procfs.children(starting.pid))  # the supervisor, in its own session
            starting.kill()
            raise
        seconds = time.monotonic() - begin
        said = starting.communicate()[1]
        if starting.returncode != 0:
            raise RuntimeError(f"{self.name}: supervisor start: {said.strip()}")
        self.find_supervisor()
        self.processes()
        return seconds

    @staticmethod
    def _await_start(starting, look):
        deadline = time.monotonic() + START_S
        pidfd = os.pidfd_open(starting.pid)
        try:
            while not select.select([pidfd], [], [], 0.002)[0]:
                look()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"supervisor start did not return within {START_S} s")
        finally:
            os.close(pidfd)

    def find_supervisor(self):
        """True: it answers; its PID is known then."""
        try:
            with Control(self.state) as control:
                self.supervisor_pid = control.pid
        except OSError:
            return False
        self._known[self.supervisor_pid] = "supervisor"
        return True

    def stop(self):
        self.run("stop", limit_s=STOP_S)
        self.supervisor_pid = 0

    def rescan(self):
        """Seconds until a traversal that began after this call has ended."""
        begin = time.monotonic()
        self.run("rescan", limit_s=RESCAN_S)
        return time.monotonic() - begin

    def kill_rest(self):
        """Ends what is left of this node: only processes that were seen to be its own and that
        still name its state folder."""
        for pid in self._known:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if self.state.encode() in file.read().split(b"\0"):
                        os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    # Facts

    def processes(self):
        """{pid: program} of what runs of this node now."""
        if not self.supervisor_pid:
            return {}
        running = {self.supervisor_pid: "supervisor", **procfs.children(self.supervisor_pid)}
        self._known.update(running)
        return running

    def pid_of(self, role):
        return next(pid for pid, name in self.processes().items() if name == role)

    def status(self):
        return json.loads(self.run("status", "--json", limit_s=STOP_S))

    def memory(self):
        """{program: smaps_rollup}; several hello children are told apart by their PIDs."""
        sizes = {}
        for pid, name in self.processes().items():
            try:
                sizes[name if name not in sizes else f"{name}-{pid}"] = procfs.memory(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass  # a hello child that has just ended
        return sizes

    def segment_bytes(self):
        """Memory behind the memfd, whether or not a process has it mapped now; 0: none yet."""
        folder = f"/proc/{self.supervisor_pid}/fd"
        try:
            for name in os.listdir(folder):
                if os.readlink(f"{folder}/{name}").startswith("/memfd:lefting-segment"):
                    return os.stat(f"{folder}/{name}").st_blocks * 512
        except OSError:
            pass  # a descriptor that was closed meanwhile, or no supervisor yet
        return 0

    def store_bytes(self):
        with os.scandir(self.state) as entries:
            return {entry.name: entry.stat().st_size for entry in entries
                    if entry.name in ("lefting.db", "lefting.db-wal", "lefting.db-shm")}


def ticket_count(status):
    tickets = status["counts"]["tickets"]
    return sum(tickets[state] for state in ("queued", "active", "waiting", "failed"))
