"""The broker that the clients are run at: `kohort serve`, real Kafka, or one that runs already."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from talk import Failed, finish, run

# A client that is gone may have asked for the metadata of its topic, and so create the topic again that was just deleted.
SETTINGS = ["group.initial.rebalance.delay.ms=0", "auto.create.topics.enable=false"]

ROOT = Path(__file__).resolve().parents[2]
REAL_KAFKA = ROOT / "scripts/real-kafka/real-kafka"


def kohort_binary():
    """The release build of `kohort`."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "kohort-cli"], cwd=ROOT, check=True)
    described = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True
    )
    return str(Path(json.loads(described.stdout)["target_directory"]) / "release/kohort")


def own_port():
    """A port that stays the broker's while it is away: no system gives one of these to who asks for any."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failed("no port is free")


class Kohort:
    """`kohort serve` on a free port, with a directory of its own or in memory."""

    def __init__(self, binary, in_memory=False):
        self.name = "kohort serve" if in_memory else "kohort serve --data-dir"
        self.comes_back = not in_memory
        self.directory = None if in_memory else tempfile.mkdtemp(prefix="kohort-interop-")
        self.log = open(os.environ.get("INTEROP_BROKER_LOG", os.devnull), "w", encoding="utf-8")
        self.settings = [word for setting in SETTINGS for word in ("-X", setting)]
        self.settings += [] if in_memory else ["--data-dir", self.directory]
        self.binary = binary
        self.peaks = []
        self.serve(f"127.0.0.1:{own_port()}")

    def serve(self, address):
        argv = [self.binary, "serve", "--listen", address, *self.settings]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.bootstrap = self.process.stdout.readline().strip().removeprefix("bootstrap.servers=")
        if not self.bootstrap:
            raise Failed(f"`kohort serve --listen {address}` ended with {finish(self.process)}")

    def kill(self):
        self.note_peak()
        self.process.kill()
        self.process.wait()

    def resume(self):
        """Starts it again on its port and directory."""
        self.serve(self.bootstrap)

    def note_peak(self):
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return
        self.peaks += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]

    def peak(self):
        """The peak memory of its lives, where the system tells."""
        self.note_peak()
        return f"{max(self.peaks) // 1024} MiB at most" if self.peaks else None

    def stop(self):
        self.process.terminate()
        finish(self.process)
        if self.directory:
            shutil.rmtree(self.directory)


class RealKafka:
    """Apache Kafka, started by the project's script: one broker, or one on each of these racks."""

    comes_back = True

    def __init__(self, *racks):
        self.name = "real Kafka"
        on_racks = ["--racks", ",".join(racks)] if racks else []
        started = subprocess.run([REAL_KAFKA, "start", *on_racks, *SETTINGS], check=True, stdout=subprocess.PIPE, text=True)
        self.bootstrap = started.stdout.strip()

    def kill(self):
        run([REAL_KAFKA, "kill"])

    def resume(self):
        run([REAL_KAFKA, "resume"])

    def peak(self):
        return None

    def stop(self):
        subprocess.run([REAL_KAFKA, "stop"], check=True)


class Given:
    """A cluster that somebody else runs."""

    comes_back = False

    def __init__(self, bootstrap):
        self.name = self.bootstrap = bootstrap

    def peak(self):
        return None

    def stop(self):
        pass
