"""Java's own tools: the console producer and consumer, the commands for topics, groups, offsets, settings and records. Those that
say what they do in JSON are in `verifiable`."""

import json
import re
import signal
import time

from group import group_of, settled
from talk import Failed, Member, Read, expect, run
from topics import CODECS, Topic

GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
TOPICS = "org.apache.kafka.tools.TopicCommand"
STOPPED = (0, 143)  # what a JVM ends with after SIGTERM


class ConsoleConsumer(Member):
    """Its lines are `Partition:P`, `Offset:O`, headers, key and value."""

    def parse(self, line):
        partition, offset, headers, key, value = line.split("\t")
        place = [int(text.split(":")[1]) for text in (partition, offset)]
        self.records.append(Read(*place, key, value, headers.removeprefix("codec:")))


def table_of(text, first="GROUP"):
    """The rows of a table that begins with a line of column names."""
    lines = text.strip().splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(first)), None)
    if start is None:
        raise Failed(f"no table: {text.strip()[-200:]}")
    names = lines[start].split()
    return [dict(zip(names, line.split())) for line in lines[start + 1 :] if line.strip()]


class Commands:
    """Kafka's commands, each run to its end at one broker."""

    def __init__(self, java, bootstrap):
        self.java = java
        self.bootstrap = bootstrap

    def __call__(self, name, *arguments, **more):
        # The command for groups waits 5 s by default, which a busy machine needs for the start alone.
        patient = ("--timeout", 60000) if name == GROUPS else ()
        return run(self.java.tool(name, *arguments, *patient, "--bootstrap-server", self.bootstrap), **more)

    def create(self, topic):
        self(TOPICS, "--create", "--topic", topic.name, "--partitions", topic.partitions)
        settled(lambda: topic.name in self(TOPICS, "--list").split(), True, "the topic is listed")
        led = re.compile(r"\bLeader: \d")
        settled(lambda: len(led.findall(self(TOPICS, "--describe", "--topic", topic.name))), topic.partitions, "partitions with a leader")

    def described(self, group):
        """What the group committed, a row for each partition."""
        return table_of(self(GROUPS, "--describe", "--group", group))

    def lag(self, group):
        lags = [row["LAG"] for row in self.described(group)]
        if "-" in lags:
            raise Failed(f"of some partitions {group} has committed nothing: {lags}")
        return sum(map(int, lags))

    def delete(self, group, topic):
        self(GROUPS, "--delete", "--group", group)
        expect(group in self(GROUPS, "--list").split(), False, "the deleted group is listed")
        self(TOPICS, "--delete", "--topic", topic.name)
        settled(lambda: topic.name in self(TOPICS, "--list").split(), False, "the deleted topic is listed")


def console(table, java, server, inspector, run_id, count, quick):
    bootstrap, tool = server.bootstrap, Commands(java, server.bootstrap)
    topic = Topic(f"{run_id}-console")
    group = f"{topic.name}-group"
    reset = ("--reset-offsets", "--group", group, "--topic", topic.name)
    to_earliest = (*reset, "--to-earliest")
    began = int(time.time() * 1000)

    def step(column):
        return table.step("client", "java-tools", column)

    def produce(codec, *properties):
        lines = topic.lines(codec, count, lambda key, value: f"codec:{codec}\t{key or 'NONE'}\t{value}")
        reader = ["parse.key=true", "parse.headers=true", "null.marker=NONE"]
        reader = [word for setting in reader for word in ("--reader-property", setting)]
        arguments = ["--topic", topic.name, "--compression-codec", codec, *reader, *properties]
        tool("org.apache.kafka.tools.ConsoleProducer", *arguments, stdin=lines)

    def member():
        shown = [word for name in ("key", "partition", "offset", "headers")
                 for word in ("--formatter-property", f"print.{name}=true")]
        settings = ["heartbeat.interval.ms=300", "auto.commit.interval.ms=500", "client.id=console"]
        settings = [word for setting in settings for word in ("--command-property", setting)]
        argv = java.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic.name,
                         "--group", group, "--from-beginning", *shown, *settings)
        return ConsoleConsumer("console consumer", argv, stop_signal=signal.SIGTERM, accept=STOPPED)

    def offsets(when):
        text = tool("org.apache.kafka.tools.GetOffsetShell", "--topic", topic.name, "--time", when)
        return {int(p): int(o) for _, p, o in (line.split(":") for line in text.split())}

    def shares(members):
        seen = table_of(tool(GROUPS, "--describe", "--group", group, "--members"))
        return len(seen) == members and all(row["#PARTITIONS"] == str(topic.partitions // members) for row in seen)

    with step("create"):
        tool.create(topic)
    for codec in CODECS:
        with step(codec):
            produce(codec)
            if inspector:
                stored = {name: int(number) for name, number in inspector("codecs", topic.name)}
                expect(stored, {name: topic.codecs.count(name) for name in CODECS}, "stored by codec")
    with step("acks=1"):
        produce("lz4", "--request-required-acks", "1", "--command-property", "enable.idempotence=false")
    with step("acks=0"):
        produce("none", "--request-required-acks", "0", "--command-property", "enable.idempotence=false")
        settled(lambda: sum(offsets("latest").values()), len(topic), "records stored")
    with step("group of 2"), group_of(topic) as two:
        first = two.join(member())
        two.until_read(len(topic), first)
        second = two.join(member())
        settled(lambda: shares(2), True, "two members with two partitions each")
        produce("none")
        two.until_read(len(topic), first)
        if not second.records:
            raise Failed("the second read nothing")
        text = tool(GROUPS, "--describe", "--group", group, "--state")
        expect(text.split()[-2:], ["Stable", "2"], "state and number of members")
        text = tool(GROUPS, "--delete", "--group", group, accept=(0, 1), stderr=True)
        expect("GroupNotEmptyException" in text, True, f"a group with members is not deleted: {text.strip()[-200:]}")
        text = tool(GROUPS, *to_earliest, "--execute", accept=(0, 1), stderr=True)
        expect("is inactive, but the current state is Stable" in text, True, f"nor are its offsets reset: {text.strip()[-200:]}")
        second.stop()
        settled(lambda: shares(1), True, "one member with all partitions")
        produce("gzip")
        two.until_read(len(topic), first)
        first.stop()
        topic.check(two.reads())
    with step("resume"), group_of(topic) as one:
        before = len(topic)
        produce("zstd")
        expect(tool.lag(group), count, "lag before it resumes")
        again = one.join(member())
        one.until_read(count, again)
        again.stop()
        topic.check(one.reads(), before)
    if server.comes_back and not quick:
        with step("restart"), group_of(topic) as one:
            before = len(topic)
            lasting = one.join(member())
            produce("lz4")
            one.until_read(count, lasting)
            settled(lambda: tool.lag(group), 0, "lag before the restart")
            server.kill()
            server.resume()
            produce("snappy")
            one.until_read(2 * count, lasting)
            lasting.stop()
            topic.check(one.reads(), before)
            expect(tool.lag(group), 0, "lag after the restart")
    else:
        table.leave_out("client", "java-tools", "restart", "it takes long" if quick else f"{server.name} is not killed")
    with step("list"):
        expect(group in tool(GROUPS, "--list").split(), True, "the group is listed")
        expect(tool(GROUPS, "--list", "--state", "Empty").find(group) >= 0, True, "the group is listed as Empty")
        ends = offsets("latest")
        expect({int(r["PARTITION"]): int(r["CURRENT-OFFSET"]) for r in tool.described(group)}, ends, "committed offsets")
        expect(sum(ends.values()), len(topic), "records stored")
        expect(set(offsets(began).values()), {0}, "first offsets of a time before all records")
        newest = offsets("max-timestamp")
        expect([p for p, o in newest.items() if not 0 <= o < ends[p]], [], "offset of the newest record is none of the partition")
    with step("config"):
        entity = ("--entity-type", "topics", "--entity-name", topic.name)
        tool("kafka.admin.ConfigCommand", "--alter", *entity, "--add-config", "retention.ms=86400001")
        text = tool("kafka.admin.ConfigCommand", "--describe", *entity)
        expect("retention.ms=86400001" in text, True, f"retention.ms in {text.strip()}")
    with step("reset"), group_of(topic) as one:
        planned = table_of(tool(GROUPS, *reset, "--shift-by", -1, "--dry-run"))
        expect(sum(int(row["NEW-OFFSET"]) for row in planned), len(topic) - topic.partitions, "planned offsets")
        expect(tool.lag(group), 0, "lag after a plan")
        tool(GROUPS, *to_earliest, "--execute")
        expect(tool.lag(group), len(topic), "lag after the reset")
        again = one.join(member())
        one.until_read(len(topic), again)
        again.stop()
        topic.check(one.reads())
    with step("grow"):
        tool(TOPICS, "--alter", "--topic", topic.name, "--partitions", topic.partitions + 2)
        settled(lambda: len(offsets("latest")), topic.partitions + 2, "partitions")
    with step("trim"):
        end = offsets("latest")[0]
        plan = {"partitions": [{"topic": topic.name, "partition": 0, "offset": end - 3}], "version": 1}
        tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", "/dev/stdin", stdin=json.dumps(plan))
        expect(offsets("earliest")[0], end - 3, "first offset after the deletion of records")
    with step("delete"):
        tool(GROUPS, "--delete-offsets", "--group", group, "--topic", f"{topic.name}:0")
        expect(sorted(row["PARTITION"] for row in tool.described(group)), ["1", "2", "3"], "partitions with an offset")
        tool.delete(group, topic)
