"""What the whole-server fault tests share: a server process, HTTP clients that record every answer, and the checks.

The checks know nothing of the server's code: they compare what clients were told with what the event streams hold.
Only Python's standard library is used.
"""

import collections
import dataclasses
import datetime
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

# A game hour passes in a tenth of a second, so that cultivation really happens.
TIME_SCALE = 36_000
LOCATIONS_TARGET = "/v1/catalog/locations"
# The limits are not what is tested here: every acknowledged command is sent again as fast as possible.
# Nor are sessions that are left alone: every event has a client that was told of it.
ENVIRONMENT = {"IMMORTAL_LIMITS_COMMANDS_PER_SECOND": "0", "IMMORTAL_LIMITS_REQUESTS_PER_SECOND": "0",
               "IMMORTAL_GAME_UNATTENDED_HOURS": "87600"}


class Failure(Exception):
    """A promise was broken; the text says which, with the evidence."""


def say(text):
    print(text, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- the server -----------------------------------------------------------------------------------------------------

def processes_of(folder):
    """pid -> command line of every process whose command line or working folder names `folder`, but ourselves."""
    found = {}
    needle = str(folder)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = pathlib.Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()[0]
            where = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if state != "Z" and (needle in command or where.startswith(needle)):
            found[int(entry)] = command.strip() or where
    return found


class Server:
    """One `immortal serve` on its own data folder and port."""

    def __init__(self, binary, data, options=()):
        self.binary, self.data, self.options = binary, data, list(options)
        self.port, self.process, self.log = free_port(), None, data.parent / "server.log"
        self.slowest_start, self.environment = 0.0, ENVIRONMENT

    def start(self, ready_within=60.0):
        began = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", str(self.data), "--http-port", str(self.port), "--esdb-port", "0", *self.options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **self.environment})
        while time.monotonic() - began < ready_within:
            if self.process.poll() is not None:
                raise Failure(f"the server ended with code {self.process.returncode} at start:\n{self.log_tail()}")
            if self.is_ready():
                took = time.monotonic() - began
                self.slowest_start = max(self.slowest_start, took)
                return took
            time.sleep(0.02)
        raise Failure(f"the server was not ready after {ready_within:.0f} s:\n{self.log_tail()}")

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        except http.client.HTTPException:
            return False

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, within=30.0):
        """SIGTERM; a clean end is promised."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"the server did not stop within {within:.0f} s of SIGTERM:\n{self.log_tail()}") from None
        if code != 0:
            raise Failure(f"the server ended with code {code} after SIGTERM:\n{self.log_tail()}")

    def await_no_processes(self, within=20.0):
        """Nothing that was started on the data folder may go on."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            left = processes_of(self.data)
            if not left:
                return
            time.sleep(0.05)
        raise Failure("still running without their server: " + ", ".join(f"{p} {c}" for p, c in left.items()))

    def log_tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def tool(self, *arguments):
        """Another command of the program on the same data: (exit code, standard output, standard error)."""
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout, done.stderr

    def end(self):
        """For `finally`: nothing of ours stays behind, whatever happened."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline = time.monotonic() + 10
        while processes_of(self.data) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in processes_of(self.data):
            os.kill(pid, signal.SIGKILL)


# --- clients --------------------------------------------------------------------------------------------------------

class Connection:
    """Keep-alive; any trouble is answered with status 0 (the outcome is not known)."""

    def __init__(self, server, timeout=15.0):
        self.server, self.timeout, self.http = server, timeout, None

    def send(self, verb, target, body=None, token=None, key=None):
        headers = {}
        if token:
            headers["Authorization"] = "Bearer " + token
        if key:
            headers["Idempotency-Key"] = key
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=self.timeout)
                self.http.connect()
                self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.http.request(verb, target, data, headers)
            answer = self.http.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        except (OSError, http.client.HTTPException, ValueError):
            if self.http:
                self.http.close()
            self.http = None
            return 0, "", {}

    def insist(self, verb, target, body=None, token=None, key=None, within=30.0):
        """Repeats until the outcome is known: anything but a lost connection, 429 and 503."""
        deadline = time.monotonic() + within
        while True:
            status, text, headers = self.send(verb, target, body, token, key)
            if status not in (0, 429, 503):
                return status, text, headers
            if time.monotonic() > deadline:
                raise Failure(f"{verb} {target}: no outcome within {within:.0f} s; last answer {status} {text[:200]}")
            time.sleep(0.05)


@dataclasses.dataclass
class Command:
    """One command as a client sees it. `status` 0: unknown."""
    player: str
    target: str
    body: dict | None
    key: str
    status: int = 0
    answer: str = ""

    @property
    def done(self):
        return self.status in (200, 201)

    @property
    def position(self):
        return json.loads(self.answer)["position"]


@dataclasses.dataclass
class Player:
    player_id: str
    token: str
    name: str
    technique: str
    session: str | None = None
    ready_at: float = 0.0
    history: list = dataclasses.field(default_factory=list)  # of Command, in the order they were sent
    last_position: int = 0
    location: str = ""

    def choose(self, dice, locations):
        """The next command: (target, body)."""
        if self.session:
            target = f"/v1/cultivations/{self.session}"
            if time.time() >= self.ready_at:
                return target + "/complete", None
            return target + ("/progress" if dice.random() < 0.8 else "/interrupt"), None
        roll = dice.random()
        if roll < 0.5:
            return "/v1/cultivations", {"playerId": self.player_id, "techniqueId": self.technique}
        if roll < 0.6:
            return f"/v1/players/{self.player_id}/rest", None
        return f"/v1/players/{self.player_id}/move", {"location": dice.choice([p for p in locations if p != self.location])}

    def learn(self, command):
        """What the outcome of a command tells about the player."""
        if command.done:
            answer = json.loads(command.answer)
            self.last_position = max(self.last_position, answer["position"])
            if command.target == "/v1/cultivations":
                self.session = answer["sessionId"]
                self.ready_at = datetime.datetime.fromisoformat(answer["readyAt"].replace("Z", "+00:00")).timestamp()
            elif command.target.endswith(("/complete", "/interrupt")):
                self.session = None
            elif command.target.endswith("/move"):
                self.location = command.body["location"]
        elif command.status == 409 and "session_ended" in command.answer:
            self.session = None


class World:
    """Accounts, players and their histories, over several lives of the server."""

    def __init__(self, server, seed, accounts=2, players=24):
        self.server, self.dice = server, random.Random(seed)
        self.players, self.locations, self.accounts = [], [], []
        connection = Connection(server)
        self.locations = [entry["locationId"] for entry in self.get(connection, LOCATIONS_TARGET)["items"]
                          if entry.get("levelRequirement", 1) <= 1]
        techniques = [entry["techniqueId"] for entry in self.get(connection, "/v1/catalog/techniques")["items"]
                      if entry.get("techniqueType") == "cultivation" and entry.get("levelRequirement", 1) <= 1]
        if len(self.locations) < 2 or not techniques:
            raise Failure("the catalogue has too little for a beginner")
        run = uuid.uuid4().hex[:8]
        for number in range(accounts):
            self.accounts.append(self.make_account(connection, f"fault{run}{number}"))
        for number in range(players):
            self.players.append(self.make_player(connection, self.accounts[number % accounts], f"F{run}n{number}", techniques))

    @staticmethod
    def get(connection, target, token=None):
        status, text, _ = connection.insist("GET", target, token=token)
        if status != 200:
            raise Failure(f"GET {target} was answered {status}: {text[:300]}")
        return json.loads(text)

    @staticmethod
    def make_account(connection, name):
        password = name + "-password-of-a-test"
        status, text, _ = connection.insist("POST", "/v1/users", {
            "username": name, "email": name + "@fault.example", "password": password}, key="register-" + name)
        if status != 201:
            raise Failure(f"registration was answered {status}: {text[:300]}")
        status, text, _ = connection.insist("POST", "/v1/sessions", {"username": name, "password": password})
        if status not in (200, 201):
            raise Failure(f"log-in was answered {status}: {text[:300]}")
        return json.loads(text)["token"]

    @staticmethod
    def make_player(connection, token, name, techniques):
        create = Command("", "/v1/players", {"name": name}, "create-" + name)
        create.status, create.answer, _ = connection.insist("POST", create.target, create.body, token, create.key)
        if create.status != 201:
            raise Failure(f"creation of a player was answered {create.status}: {create.answer[:300]}")
        player = Player(json.loads(create.answer)["playerId"], token, name, "")
        create.player = player.player_id
        player.history.append(create)
        for technique in techniques:
            learn = Command(player.player_id, f"/v1/players/{player.player_id}/techniques", {"techniqueId": technique},
                            f"learn-{name}-{technique}")
            learn.status, learn.answer, _ = connection.insist("POST", learn.target, learn.body, token, learn.key)
            if learn.done:
                player.technique = technique
                player.history.append(learn)
                player.learn(learn)
                return player
        raise Failure(f"no technique can be learned: {learn.answer[:300]}")

    @property
    def commands(self):
        return [command for player in self.players for command in player.history]


class Load:
    """Threads that play until stopped; each command is recorded before it is sent."""

    ALLOWED = {0, 200, 201, 409, 429, 503}

    def __init__(self, world, threads=8, observe=None):
        self.world, self.observe, self.stopping = world, observe, threading.Event()
        self.acknowledged, self.problems = 0, []
        self.counts, self.lock = collections.Counter(), threading.Lock()
        shares = [world.players[i::threads] for i in range(threads)]
        seeds = [world.dice.getrandbits(32) for _ in shares]
        self.threads = [threading.Thread(target=self.run, args=(share, seed), daemon=True)
                        for share, seed in zip(shares, seeds) if share]
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def run(self, players, seed):
        dice, connection = random.Random(seed), Connection(self.world.server)
        try:
            while not self.stopping.is_set():
                for player in players:
                    if self.stopping.is_set() or not self.one(player, dice, connection):
                        break
        except Exception as problem:  # pylint: disable=broad-except  # a thread's failure is the test's
            self.problems.append(problem if isinstance(problem, Failure) else Failure(f"driver: {problem!r}"))
            self.stopping.set()

    def one(self, player, dice, connection):
        """False: the server is gone; this thread waits for the next life."""
        target, body = player.choose(dice, self.world.locations)
        command = Command(player.player_id, target, body, f"{dice.getrandbits(128):032x}")
        player.history.append(command)
        command.status, command.answer, _ = connection.send("POST", target, body, player.token, command.key)
        with self.lock:
            self.counts[command.status] += 1
        if command.status not in self.ALLOWED:
            raise Failure(f"POST {target} was answered {command.status}: {command.answer[:300]}")
        if command.status in (0, 503):
            if self.observe is None:
                self.stopping.wait(0.5 if command.status == 0 else 0.02)
                return command.status != 0
            resolve(player, command, connection, within=60.0)
        if command.done:
            with self.lock:
                self.acknowledged += 1
        elif command.status == 429:
            time.sleep(0.05)
        player.learn(command)
        if self.observe:
            self.observe(player, command, connection)
        return True

    def rate(self):
        return self.acknowledged / max(0.001, time.monotonic() - self.began)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                raise Failure("a client is still waiting for an answer after 90 s")
        if self.problems:
            raise self.problems[0]


def resolve(player, command, connection, within=30.0):
    """Finds out what became of a command by sending the same again."""
    status, answer, _ = connection.insist("POST", command.target, command.body, player.token, command.key, within)
    if status not in (200, 201, 409):
        raise Failure(f"retry of POST {command.target} was answered {status}: {answer[:300]}")
    command.status, command.answer = status, answer


# --- checks ---------------------------------------------------------------------------------------------------------

def check_repeats(world, commands_of):
    """An acknowledged command, sent again with its key, is answered with the same bytes."""
    connection, repeated = Connection(world.server), 0
    for player in world.players:
        for command in commands_of(player):
            if not command.done:
                continue
            status, answer, _ = connection.insist("POST", command.target, command.body, player.token, command.key)
            if (status, answer) != (command.status, command.answer):
                raise Failure(f"POST {command.target} with key {command.key} was answered {command.status} {command.answer} "
                              f"before the kill and {status} {answer} afterwards")
            repeated += 1
    return repeated


def check_rows(world):
    """The read model, asked for at least the last acknowledged position, shows it."""
    connection = Connection(world.server)
    for player in world.players:
        row = World.get(connection, f"/v1/players/{player.player_id}?after={player.last_position}", player.token)
        if row["position"] < player.last_position:
            raise Failure(f"player {player.player_id}: row at position {row['position']}, acknowledged {player.last_position}")
        if player.location and row["currentLocation"] != player.location:
            raise Failure(f"player {player.player_id}: row says {row['currentLocation']}, acknowledged {player.location}")


def events_of(server, stream):
    code, output, problem = server.tool("stream", "read", stream, "--data", str(server.data), "--json")
    if code != 0:
        raise Failure(f"immortal stream read {stream}: exit code {code}: {problem[-500:]}")
    return parse_events(output)


def parse_events(output):
    """Either one JSON document {"items": [...]} or one event a line."""
    output = output.strip()
    try:
        document = json.loads(output)
        items = document["items"] if isinstance(document, dict) and "items" in document else document
        return items if isinstance(items, list) else [items]
    except json.JSONDecodeError:
        return [json.loads(line) for line in output.splitlines() if line.strip()]


def check_stream(player, events):
    """No gap; every acknowledged command is there exactly once, and nothing that was never acknowledged."""
    positions = [event["position"] for event in events]
    revisions = [event["revision"] for event in events]
    if revisions != list(range(len(events))):
        raise Failure(f"player {player.player_id}: revisions have a gap or repeat: {revisions}")
    if any(a >= b for a, b in zip(positions, positions[1:])):
        raise Failure(f"player {player.player_id}: positions do not increase: {positions}")
    last, order = {}, []
    for event in events:
        metadata = event["metadata"] if isinstance(event["metadata"], dict) else json.loads(event["metadata"])
        command = metadata["commandId"]
        if not order or order[-1] != command:
            order.append(command)
        last[command] = event["position"]
    if len(order) != len(set(order)):
        raise Failure(f"player {player.player_id}: a command stands twice in the stream")
    in_log = sorted(last.values())
    answered = sorted(command.position for command in player.history if command.done)
    if in_log != answered:
        lost = sorted(set(answered) - set(in_log))
        extra = sorted(set(in_log) - set(answered))
        twice = [p for p, n in collections.Counter(answered).items() if n > 1]
        raise Failure(f"player {player.player_id}: acknowledged but not in the log: {lost}; in the log but never acknowledged: "
                      f"{extra}; two commands answered with one position: {twice}")


def check_streams(server, world):
    for player in world.players:
        check_stream(player, events_of(server, f"player-{player.player_id}"))


def check_read_model(server):
    """`immortal check`: the log's fold against rows and cache."""
    code, output, problem = server.tool("check", "--data", str(server.data))
    if code != 0:
        raise Failure(f"immortal check: exit code {code}:\n{output[-3000:]}{problem[-1000:]}")


def must_fail(what, action):
    """For controls: `action` must find what was planted."""
    try:
        action()
    except Failure as failure:
        say(f"control: {what}: reported ({str(failure)[:160].strip()})")
        return
    raise Failure(f"control: {what}: NOT reported, so this test proves nothing")


def main_guard(run):
    """Runs `run`; a Failure is printed and gives exit code 1."""
    try:
        run()
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr, flush=True)
        sys.exit(1)
