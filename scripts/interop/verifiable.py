"""VerifiableProducer and VerifiableConsumer, Kafka's programs for its own system tests, which say what they do in JSON: each record that
was acknowledged, handed out and committed."""

import json
import signal
from collections import Counter

from group import group_of, settled
from talk import Failed, Member, Read, expect, run
from tools import STOPPED, Commands
from topics import CODECS, Topic


class VerifiableConsumer(Member):
    """Its lines are events in JSON."""

    def parse(self, line):
        event = json.loads(line)
        if event["name"] == "record_data":
            self.records.append(Read(event["partition"], event["offset"], str(event["key"]), event["value"], None))
        elif event["name"] in ("partitions_assigned", "partitions_revoked"):
            named = {p["partition"] for p in event["partitions"]}
            owned = self.owned or set()
            self.own(owned | named if event["name"] == "partitions_assigned" else owned - named)
        elif event["name"] == "offsets_committed" and not event["success"]:
            raise Failed(f"{self.name}: a commit failed: {event.get('error')}")


def verifiable(table, java, server, inspector, run_id, count, quick):
    bootstrap, tool = server.bootstrap, Commands(java, server.bootstrap)
    topic = Topic(f"{run_id}-verifiable")
    group = f"{topic.name}-group"
    acknowledged = {}  # (partition, offset) -> value, as the producer was told
    codecs = Counter()

    def step(column):
        return table.step("client", "verifiable", column)

    def produce(codec):
        prefix = str(sum(codecs.values()) // count)  # another one each time
        name = "org.apache.kafka.tools.VerifiableProducer"
        argv = java.tool(name, "--bootstrap-server", bootstrap, "--topic", topic.name, "--max-messages", count, "--value-prefix",
                         prefix, "--command-config", "/dev/stdin")
        events = [json.loads(line) for line in run(argv, f"compression.type={codec}\n").splitlines()]
        sent = {(e["partition"], e["offset"]): e["value"] for e in events if e["name"] == "producer_send_success"}
        expect(len(sent), count, "records acknowledged at places of their own")
        expect(len(set(sent) & set(acknowledged)), 0, "offsets given twice")
        acknowledged.update(sent)
        codecs[codec] += count

    def member():
        argv = java.tool("org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", bootstrap, "--topic", topic.name,
                         "--group-id", group, "--verbose", "--command-config", "/dev/stdin")
        consumer = VerifiableConsumer("verifiable consumer", argv, stop_signal=signal.SIGTERM, accept=STOPPED)
        consumer.process.stdin.write("heartbeat.interval.ms=300\nmax.poll.records=50\n")
        consumer.process.stdin.close()
        return consumer

    def check(reads, before=()):
        wanted = {place: value for place, value in acknowledged.items() if place not in before}
        expect(len(reads), len(wanted), "records read")
        expect({(r.partition, r.offset): r.value for r in reads} == wanted, True, "what was read is what was acknowledged")
        ends = Counter(partition for partition, _ in acknowledged)  # the producer need not choose every partition
        committed = {int(row["PARTITION"]): int(row["CURRENT-OFFSET"]) for row in tool.described(group) if row["CURRENT-OFFSET"] != "-"}
        expect({partition: offset for partition, offset in committed.items() if offset}, dict(ends), "committed")

    with step("create"):
        tool.create(topic)
    for codec in CODECS:
        with step(codec):
            produce(codec)
            if inspector:
                stored = {name: int(number) for name, number in inspector("codecs", topic.name)}
                expect(stored, {name: codecs[name] for name in CODECS}, "stored by codec")
    with step("group of 2"), group_of(topic) as two:
        first = two.join(member())
        two.until_owned(first)
        second = two.join(member())
        two.until_owned(first, second)
        produce("none")
        two.until_read(len(acknowledged), first)
        second.stop()
        two.until_owned(first)
        produce("gzip")
        two.until_read(len(acknowledged), first)
        first.stop()
        check(two.reads())
    with step("resume"), group_of(topic) as one:
        before = set(acknowledged)
        produce("zstd")
        again = one.join(member())
        one.until_read(count, again)
        again.stop()
        check(one.reads(), before)
    if server.comes_back and not quick:
        with step("restart"), group_of(topic) as one:
            before = set(acknowledged)
            lasting = one.join(member())
            produce("lz4")
            one.until_read(count, lasting)
            settled(lambda: tool.lag(group), 0, "lag before the restart")
            server.kill()
            server.resume()
            produce("snappy")
            one.until_read(2 * count, lasting)
            lasting.stop()
            check(one.reads(), before)
    else:
        table.leave_out("client", "verifiable", "restart", "it takes long" if quick else f"{server.name} is not killed")
    with step("delete"):
        tool.delete(group, topic)
