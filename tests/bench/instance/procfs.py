"""What the kernel says of processes: memory, CPU time, wake-ups."""
import os
import time

PROCESS_CPU_CLOCK = 2  # CPUCLOCK_SCHED of <linux/posix-timers.h>: all threads, in ns


def wait_until(holds, limit_s, step_s, what):
    """Looks at holds() every `step_s` until it is true. Raises TimeoutError."""
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > limit_s:
            raise TimeoutError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(step_s)


def memory(pid):
    """smaps_rollup in bytes: Pss counts a page that n processes map as 1/n of it."""
    sizes = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        next(file)
        for line in file:
            name, number, _ = line.split()
            sizes[name.rstrip(":")] = int(number) * 1024
    return {name: sizes[name] for name in ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem", "Rss")}


def cpu_seconds(pid):
    """CPU time of all threads of a process, exact: utime and stime count in steps of 10 ms."""
    return time.clock_gettime((~pid << 3) | PROCESS_CPU_CLOCK)


def stat_fields(pid):
    """/proc/PID/stat from its third field on, as numbered there: [3] is the state."""
    with open(f"/proc/{pid}/stat") as file:
        return [None] * 3 + file.read().rpartition(")")[2].split()


def reaped_cpu_seconds(pid):
    """CPU time of children that have ended: of the supervisor's hello children."""
    fields = stat_fields(pid)
    return (int(fields[16]) + int(fields[17])) / os.sysconf("SC_CLK_TCK")


def utime_stime_seconds(pid):
    fields = stat_fields(pid)
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[14]) / tick, int(fields[15]) / tick


def children(pid):
    """{pid: program} of a process's children."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(stat_fields(entry)[4]) == pid:
                found[int(entry)] = comm(entry)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def comm(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def wake_ups(pid):
    """{thread id: voluntary context switches}: each is a time that a thread slept and woke."""
    counts = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches"):
                    counts[int(thread)] = int(line.split()[1])
    return counts


def peak_memory(pid):
    """Bytes: the most that was resident, and what is the process's own now, not the segment's."""
    sizes = {"VmHWM": 0, "RssAnon": 0}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in sizes:
                sizes[name] = int(rest.split()[0]) * 1024
    return sizes["VmHWM"], sizes["RssAnon"]
