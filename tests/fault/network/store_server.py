"""`immortal store serve` for tests of its surroundings, and the clients (network_driver) whose histories are kept."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

FAULT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(FAULT), str(FAULT / "checker")]
import log_files  # noqa: E402
import model  # noqa: E402
from harness import Failure  # noqa: E402

CLIENT_OPS = 10_000_000  # network_driver.cpp: ops_of_a_client


def await_that(condition, what, within=60.0, every=0.02):
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {within:.0f} s")
        time.sleep(every)
    return found


class StoreServer:
    """`run` starts a process where the server is to live (another network namespace); by default here."""

    def __init__(self, binary, data, environment=None, run=lambda work: work()):
        self.binary, self.data, self.run = binary, data, run
        self.log, self.process, self.port = data.parent / "store.log", None, 0
        self.environment = {**os.environ, **(environment or {})}

    def start(self, before=None, within=60.0):
        """`before` runs in the new process, before the program."""
        with open(self.log, "ab") as errors:
            self.process = self.run(lambda: subprocess.Popen(
                [self.binary, "store", "serve", "--data", str(self.data), "--esdb-port", str(self.port or 0),
                 "--esdb-address", "127.0.0.1", "--json"], stdout=subprocess.PIPE, stderr=errors,
                stdin=subprocess.DEVNULL, start_new_session=True, env=self.environment, preexec_fn=before))
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"the store ended at start with {self.process.wait()}:\n{self.tail()}")
        self.port = int(json.loads(line)["url"].split("?")[0].rstrip("/").rsplit(":", 1)[1])

    def uri(self, host="127.0.0.1", port=None):
        return f"esdb://{host}:{port or self.port}?tls=false&defaultDeadline=1500&keepAliveInterval=400&keepAliveTimeout=800"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def resident(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failure("the store has died")

    def stop(self, within=30.0):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failure(f"the store did not stop within {within:.0f} s of SIGTERM:\n{self.tail()}") from None
        if code != 0:
            raise Failure(f"the store ended with code {code} after SIGTERM:\n{self.tail()}")

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def events(self):
        """Of the closed log: what the clients wrote, from its files; the chain is checked on the way."""
        events, problems = log_files.read(self.data / "events")
        return [event for event in events if "own-" in event.stream or "shared-" in event.stream], problems


class Clients:
    """One network_driver and the history that it writes."""

    def __init__(self, driver, folder, name, run=lambda work: work()):
        self.driver, self.run, self.name = driver, run, name
        self.history, self.errors = folder / f"history-{name}", folder / f"clients-{name}.log"
        self.process, self.read_to, self.rest = None, 0, b""
        self.acknowledged, self.delivered = collections.Counter(), collections.Counter()

    def start(self, uri, seed, *more):
        self.history.touch()
        with open(self.errors, "ab") as errors:
            self.process = self.run(lambda: subprocess.Popen(
                [self.driver, "--uri", uri, "--history", str(self.history), "--seed", str(seed), "--prefix", self.name,
                 *more], stdout=errors, stderr=errors, stdin=subprocess.DEVNULL,
                env={**os.environ, "GRPC_VERBOSITY": "NONE"}))

    def look(self):
        """Counts what has come to each client since."""
        with self.history.open("rb") as file:
            file.seek(self.read_to)
            data = self.rest + file.read()
            self.read_to = file.tell()
        *lines, self.rest = data.split(b"\n")
        for text in lines:
            line = json.loads(text)
            if line["t"] == "ok" and "position" in line:
                self.acknowledged[line["op"] // CLIENT_OPS - 1] += 1
            elif line["t"] == "deliver":
                self.delivered[line["sub"] // CLIENT_OPS - 1] += 1

    def await_progress(self, count, what, within=90.0):
        """Each of `count` clients has something acknowledged and something delivered that had not been before."""
        self.look()
        acknowledged, delivered = self.acknowledged.copy(), self.delivered.copy()

        def all_went_on():
            self.look()
            if self.process.poll() is not None:
                raise Failure(f"the clients ended with {self.process.returncode}:\n{self.errors.read_text()[-2000:]}")
            return all(self.acknowledged[n] > acknowledged[n] + 1 and self.delivered[n] > delivered[n]
                       for n in range(count))
        await_that(all_went_on, f"{what}: every client goes on", within)

    def finish(self, within=120.0):
        """Every append gets an outcome, every follower sees everything."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: an append stays without an outcome, or a follower does not see all that was "
                          f"acknowledged, within {within:.0f} s of the last fault") from None
        if code != 0:
            raise Failure(f"the clients ended with {code}:\n{self.errors.read_text()[-2000:]}")
        self.look()

    def capacity(self, uri):
        """How many subscriptions the server takes beside what it has."""
        done = self.run(lambda: subprocess.run([self.driver, "--uri", uri, "--capacity"], capture_output=True, text=True,
                                               timeout=120, check=True, env={**os.environ, "GRPC_VERBOSITY": "NONE"}))
        return int(done.stdout)

    def lines(self):
        out = []
        for text in self.history.read_bytes().splitlines():
            try:
                out.append(json.loads(text))
            except ValueError:
                pass  # cut off when the clients were killed
        return out

    def violations(self, events, lines=None):
        """What the history says against the events of the log, by tests/fault/checker."""
        own = [event for event in events if event.stream.startswith(self.name)]
        return model.check(self.lines() if lines is None else lines, own), len(own)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
