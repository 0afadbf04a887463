"""The broker that the clients are run at: `kohort serve`, real Kafka, or one that runs already."""

import json
import os
import subprocess
from pathlib import Path

from talk import finish

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


class Kohort:
    """`kohort serve` on a free port."""

    def __init__(self, binary):
        self.name = "kohort serve"
        self.log = open(os.environ.get("INTEROP_BROKER_LOG", os.devnull), "w", encoding="utf-8")
        settings = [word for setting in SETTINGS for word in ("-X", setting)]
        argv = [binary, "serve", "--listen", "127.0.0.1:0", *settings]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.bootstrap = self.process.stdout.readline().strip().removeprefix("bootstrap.servers=")

    def peak(self):
        """Its peak memory, where the system tells."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return None
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return f"{int(kib) // 1024} MiB at most"

    def stop(self):
        self.process.terminate()
        finish(self.process)


class RealKafka:
    """Apache Kafka, started by the project's script: one broker, or one on each of these racks."""

    def __init__(self, *racks):
        self.name = "real Kafka"
        on_racks = ["--racks", ",".join(racks)] if racks else []
        started = subprocess.run([REAL_KAFKA, "start", *on_racks, *SETTINGS], check=True, stdout=subprocess.PIPE, text=True)
        self.bootstrap = started.stdout.strip()

    def peak(self):
        return None

    def stop(self):
        subprocess.run([REAL_KAFKA, "stop"], check=True)


class Given:
    """A cluster that somebody else runs."""

    def __init__(self, bootstrap):
        self.name = self.bootstrap = bootstrap

    def peak(self):
        return None

    def stop(self):
        pass
