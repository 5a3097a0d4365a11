#!/usr/bin/env python3
"""A long way between the test hosts: carries their packets, each some milliseconds late.

    ./delay_line.py MILLISECONDS NAMESPACE=ADDRESS NAMESPACE=ADDRESS ...

Makes a tun device `eth0` in each namespace, says "ready", and runs until its input ends. For kernels without netem.
Packets are of 1500 bytes, as on Ethernet, and go at the speed of this program: about 1 Gbit/s.
"""
import collections
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKETS_AT_ONCE = 64
DESTINATION = slice(16, 20)     # of an IPv4 header


def open_tun(namespace, address):
    """The descriptor of a new eth0 there, which is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = (os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", f"/run/netns/{namespace}"))
    try:
        if libc.setns(there, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TUN | IFF_NO_PI))
        libc.setns(here, 0)
    finally:
        os.close(here)
        os.close(there)
    for args in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "txqueuelen", "10000", "up"]):
        subprocess.run(["ip", "-n", namespace, *args], check=True)
    return fd


def main():
    delay = float(sys.argv[1]) / 1000
    ends = [end.split("=") for end in sys.argv[2:]]
    tuns = {socket.inet_aton(address): open_tun(namespace, address) for namespace, address in ends}
    on_its_way = collections.deque()    # (when it is due, to where, packet): each is as late as the others
    poll = select.epoll()
    for fd in (*tuns.values(), sys.stdin.fileno()):
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while on_its_way and on_its_way[0][0] <= now:
            _, fd, packet = on_its_way.popleft()
            os.write(fd, packet)
        for fd, _ in poll.poll(max(on_its_way[0][0] - now, 0) if on_its_way else -1):
            if fd == sys.stdin.fileno():
                return
            due = time.monotonic() + delay
            try:
                for _ in range(PACKETS_AT_ONCE):
                    packet = os.read(fd, 65536)
                    if to := tuns.get(packet[DESTINATION]):     # else IPv6, or nobody's
                        on_its_way.append((due, to, packet))
            except BlockingIOError:
                pass


main()
