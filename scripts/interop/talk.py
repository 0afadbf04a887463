"""Speaking to programs: commands that are run to their end, a session of commands, a member of a group.

Every client has one program (`Client.java`, `franz/`, `librdkafka.py`, `kafka_python.py`) with the same two uses:

    PROGRAM HOST:PORT admin                                  commands on stdin, one a line, fields separated by tabs;
                                                             each is answered by lines of fields and then `ok` or `failed WHY`
    PROGRAM HOST:PORT member TOPIC GROUP ASSIGNOR,ASSIGNOR PAUSE_MS SESSION_MS INSTANCE RACK
                                                             a member of a group (`-`: no static one, no rack), until stdin ends; it
                                                             commits what it has read after each poll and before it gives a
                                                             partition up, pauses after each poll that had records, and says
                                                             `leads` when its assignor runs for the group, `owns P,P`,
                                                             `record P OFFSET KEY VALUE CODEC`, `session-ended` (franz-go),
                                                             `closed`
"""

import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

PATIENCE = 120  # seconds until a program that does not answer has failed


class Failed(Exception):
    """A step did not do what it should."""


def expect(seen, wanted, what):
    if seen != wanted:
        raise Failed(f"{what}: expected {brief(wanted)}, got {brief(seen)}")


def brief(value):
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "…"


def run(argv, stdin="", accept=(0,), stderr=False):
    """Runs a program to its end and gives what it wrote to stdout (and to stderr)."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failed(f"{brief(argv[-6:])} did not end within {PATIENCE} s") from None
    if done.returncode not in accept:
        raise Failed(f"{brief(argv[-6:])} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout + (done.stderr if stderr else "")


class Session:
    """A client's program in its first use. Threads that share it wait for each other's answers."""

    def __init__(self, argv):
        self.turn = threading.Lock()
        self.stderr = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True, bufsize=1
        )

    def __call__(self, *command):
        """Sends one command; gives the answer's lines as tuples of fields."""
        with self.turn:
            return self.ask(command)

    def ask(self, command):
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write("\t".join(map(str, command)) + "\n")
            self.process.stdin.flush()
            rows = []
            for line in self.process.stdout:
                fields = tuple(line.rstrip("\n").split("\t"))
                if fields == ("ok",):
                    return rows
                if fields[0] == "failed":
                    raise Failed(f"{' '.join(map(str, command))}: {brief(fields[-1])}")
                rows.append(fields)
        except BrokenPipeError:
            pass
        finally:
            watch.cancel()
        raise Failed(f"{' '.join(map(str, command))}: the program ended: {tail(self.stderr)}")

    def numbers(self, *command):
        """The answer of a command whose lines are numbers: what stands first, and the rest."""
        return {int(first): tuple(map(int, rest)) for first, *rest in self(*command)}

    def close(self):
        self.process.stdin.close()
        finish(self.process)


def tail(file):
    file.seek(0)
    text = file.read().strip()
    return text if len(text) <= 600 else text[:300] + " … " + text[-300:]


def finish(process):
    try:
        return process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


@dataclass(frozen=True)
class Read:
    """A record as a member showed it. `codec` is the header that its producer wrote, or None where the member shows none."""

    partition: int
    offset: int
    key: str
    value: str
    codec: str | None

    @property
    def place(self):
        return self.partition, self.offset

    @property
    def number(self):
        """Records are numbered as they are written, see `topics`."""
        return int(self.value.split()[1])


@dataclass
class Member:
    """A running member of a group. `parse` turns a line of its output into events; `stop` asks it to leave."""

    name: str
    argv: list
    owned: set | None = None  # None until it was told, or where it does not tell
    given_up: set = field(default_factory=set)
    history: list = field(default_factory=list)  # when it came to own what
    records: list = field(default_factory=list)
    leads: bool = False  # whether its assignor ran for the group
    killed: bool = False
    failure: Failed | None = None  # the first thing it said that must not be
    sessions_ended: int = 0  # as far as it tells
    may_lose_session: bool = False
    stop_signal: int | None = None  # None: its stdin is closed
    accept: tuple = (0,)

    def __post_init__(self):
        self.changed = threading.Condition()
        self.stderr = tempfile.TemporaryFile("w+")
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.stderr, **self.streams()}
        self.process = subprocess.Popen(self.argv, text=True, bufsize=1, **streams)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def streams(self):
        """What is not as usual."""
        return {}

    def listen(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was killed while it wrote this
            with self.changed:
                try:
                    self.parse(line.rstrip("\n"))
                except Failed as failure:
                    self.failure = self.failure or failure
                except (ValueError, KeyError, IndexError, TypeError) as problem:
                    self.failure = self.failure or Failed(f"{self.name} said {brief(line)!r}, not understood: {problem!r}")
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def parse(self, line):
        kind, *fields = line.split("\t")
        if kind == "record":
            partition, offset, key, value, codec = fields
            self.records.append(Read(int(partition), int(offset), key, value, codec.removeprefix("codec=") if codec != "-" else None))
        elif kind == "owns":
            self.own({int(p) for p in fields[0].split(",") if p})
        elif kind == "leads":
            self.leads = True
        elif kind == "session-ended":
            self.sessions_ended += 1

    def own(self, owned):
        self.given_up |= (self.owned or set()) - owned
        self.owned = owned
        self.history.append(f"{time.monotonic() % 1000:.1f} s {sorted(owned)}")

    def check(self):
        """Fails when it said what must not be."""
        if self.failure:
            raise self.failure

    def until(self, holds, what):
        """Waits until this holds; the member must live."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            while not holds():
                self.check()
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise Failed(f"{self.name} ended while waiting for {what()}: {tail(self.stderr)}")
                if time.monotonic() > end:
                    raise Failed(f"{self.name}: waited {PATIENCE} s for {what()}: {tail(self.stderr)}")
                self.changed.wait(0.1)

    def stop(self):
        """Has it leave in order and waits for its end."""
        if self.stop_signal is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(self.stop_signal)
        code = finish(self.process)
        self.reader.join(5)
        if code not in self.accept:
            raise Failed(f"{self.name} ended with {code}: {tail(self.stderr)}")
        if self.sessions_ended and not self.may_lose_session:
            raise Failed(f"{self.name}: its session ended {self.sessions_ended} times")
        self.check()

    def kill(self):
        if self.process.poll() is None:
            self.killed = True
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.reader.join(5)
