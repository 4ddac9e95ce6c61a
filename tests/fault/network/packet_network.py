"""Two network namespaces with a cable between them that drops packets on command.

Each has one device (TUN) whose packets this process carries to the other: so what the machines' own TCP makes of loss
and of a cut cable is real. Needs root, /dev/net/tun and `ip`; `unavailable()` says what is missing. Standard library only.
"""

import ctypes
import fcntl
import os
import random
import select
import shutil
import struct
import subprocess
import threading

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLIENTS, SERVER = "10.77.0.1", "10.77.0.2"
LIBC = ctypes.CDLL(None, use_errno=True)


def unavailable():
    """Why there can be no such network here; empty: there can."""
    if os.geteuid() != 0:
        return "not root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun"
    if not shutil.which("ip"):
        return "no `ip`"
    try:
        PacketNetwork(0).close()
    except OSError as problem:
        return str(problem)
    except subprocess.CalledProcessError as problem:
        return problem.stderr.decode().strip()
    return ""


def in_thread(work):
    """Runs `work` on a thread of its own, whose namespaces it may change; its value, or raises what it raised."""
    box = []

    def run():
        try:
            box.append((work(), None))
        except BaseException as problem:  # pylint: disable=broad-except  # raised again below
            box.append((None, problem))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, problem = box[0]
    if problem:
        raise problem
    return value


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


class PacketNetwork:
    """`clients` and `server` are the two namespaces; `loss` is a share of packets, `cut` takes all."""

    def __init__(self, seed):
        self.loss, self.cut = 0.0, False
        self.carried = self.dropped = 0
        self.dice = random.Random(seed)
        self.clients, self.client_device = in_thread(lambda: self.make(CLIENTS))
        self.server, self.server_device = in_thread(lambda: self.make(SERVER))
        self.wake, self.stop = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    @staticmethod
    def make(address):
        call("unshare", CLONE_NEWNET)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"fault0", IFF_TUN | IFF_NO_PI))
        for command in ("link set lo up", f"addr add {address}/24 dev fault0", "link set fault0 up"):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC), device

    @staticmethod
    def enter(namespace):
        """For this thread alone."""
        call("setns", namespace, CLONE_NEWNET)

    def run_in(self, namespace, work):
        def run():
            self.enter(namespace)
            return work()
        return in_thread(run)

    def carry(self):
        other = {self.client_device: self.server_device, self.server_device: self.client_device}
        while True:
            ready, _, _ = select.select([*other, self.wake], [], [])
            if self.wake in ready:
                return
            for device in ready:
                try:
                    packet = os.read(device, 65536)
                    if self.cut or self.dice.random() < self.loss:
                        self.dropped += 1
                        continue
                    os.write(other[device], packet)
                    self.carried += 1
                except BlockingIOError:
                    self.dropped += 1  # a full queue, as on a real cable

    def close(self):
        os.close(self.stop)
        self.thread.join()
        for descriptor in (self.wake, self.client_device, self.server_device, self.clients, self.server):
            os.close(descriptor)
