"""kafka-python behind the commands that `walk.py` gives."""

import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor


def say(*fields):
    # One write for each line: more than one thread speaks.
    sys.stdout.write("\t".join(map(str, fields)) + "\n")
    sys.stdout.flush()


class Leading:
    """An assignor that says when it runs for the group."""

    def assign(self, cluster, members):
        say("leads")
        return super().assign(cluster, members)


ASSIGNORS = {
    assignor.name: type(assignor.__name__, (Leading, assignor), {})
    for assignor in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor, CooperativeStickyAssignor)
}


class Owned(ConsumerRebalanceListener):
    partitions = set()

    def on_partitions_assigned(self, assigned):
        self.partitions.update(p.partition for p in assigned)
        say("owns", ",".join(map(str, sorted(self.partitions))))

    def on_partitions_revoked(self, revoked):
        # Nothing to commit: this is called inside a poll, and what was polled before is committed (no commit is possible here).
        self.partitions.difference_update(p.partition for p in revoked)
        say("owns", ",".join(map(str, sorted(self.partitions))))


def member(bootstrap, topic, group, assignors, pause, session, instance, rack):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        client_id="kafka-python",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=50,
        heartbeat_interval_ms=300,
        session_timeout_ms=int(session),
        # The answer to a request for metadata that was under way when the topics were subscribed to ends the wish for theirs too (see the
        # TODO in `ClusterMetadata.set_topics`; `update_metadata` clears `_need_update`). A member that leads then assigns nothing until
        # its metadata are old, by default for 5 minutes.
        metadata_max_age_ms=1000,
        group_instance_id=None if instance == "-" else instance,
        client_rack="" if rack == "-" else rack,
        partition_assignment_strategy=[ASSIGNORS[name] for name in assignors.split(",")],
    )
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    consumer.subscribe([topic], listener=Owned())
    while not stop.is_set():
        polled = consumer.poll(timeout_ms=200)
        for records in polled.values():
            for r in records:
                key = r.key.decode() if r.key is not None else "null"
                codec = dict(r.headers).get("codec", b"-").decode()
                say("record", r.partition, r.offset, key, r.value.decode(), codec)
        if polled:
            consumer.commit()
            time.sleep(int(pause) / 1000)
    # All that was polled is committed. Where a rebalance is under way, `commit` fails, though there is nothing new to commit.
    consumer.close()
    say("closed")


class Commands:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="kafka-python-admin")
        self.kept = None  # the producer that stays open

    def offsets(self, topic, spec):
        (described,) = self.admin.describe_topics([topic])
        partitions = [TopicPartition(topic, p["partition_index"]) for p in described["partitions"]]
        found = self.admin.list_partition_offsets({p: spec for p in partitions})
        return {p.partition: o.offset for p, o in found.items()}

    def create(self, topic, partitions):
        self.admin.create_topics({topic: {"num_partitions": int(partitions), "replication_factor": 1}})

    def topics(self):
        for name in self.admin.list_topics():
            say(name)

    def describe(self, topic):
        (described,) = self.admin.describe_topics([topic])
        for p in described["partitions"]:
            say(p["partition_index"], p["leader_id"])

    def producer(self, codec, acks):
        return KafkaProducer(
            bootstrap_servers=self.bootstrap,
            compression_type=None if codec == "none" else codec,
            acks="all" if acks == "all" else int(acks),
            enable_idempotence=acks == "all",
            linger_ms=20,
        )

    def produce(self, topic, codec, acks, start, count):
        producer = self.producer(codec, acks)
        self.send(producer, topic, codec, start, count)
        producer.close()

    def produce_on(self, topic, codec, start, count):
        self.kept = self.kept or self.producer("lz4", "all")
        self.send(self.kept, topic, codec, start, count)

    def send(self, producer, topic, codec, start, count):
        sent = [
            producer.send(
                topic,
                value=(f"value {i} " + "interop " * 12).encode(),
                key=None if i % 10 == 0 else f"k{i}".encode(),
                headers=[("codec", codec.encode())],
            )
            for i in range(int(start), int(start) + int(count))
        ]
        producer.flush(60)
        for one in sent:
            one.get(60)
        say(len(sent))

    def ends(self, topic):
        first, last = self.offsets(topic, OffsetSpec.EARLIEST), self.offsets(topic, OffsetSpec.LATEST)
        for p in first:
            say(p, first[p], last[p])

    def groups(self):
        for group in self.admin.list_groups():
            say(group["group_id"])

    def group(self, group):
        described = self.admin.describe_groups([group])[group]
        if described["error"]:
            raise RuntimeError(described["error"])
        say(described["group_state"], described["protocol_data"])
        for m in described["members"]:
            assigned = m["member_assignment"]["assigned_partitions"] if m["member_assignment"] else []
            say(m["client_id"], ",".join(str(p) for topic in assigned for p in sorted(topic["partitions"])))

    def committed(self, group, topic):
        for p, committed in self.admin.list_group_offsets({group: None})[group].items():
            if p.topic == topic:
                say(p.partition, committed.offset)

    def reset(self, group, topic):
        to = {TopicPartition(topic, p): OffsetSpec.EARLIEST for p in self.offsets(topic, OffsetSpec.EARLIEST)}
        for p, result in self.admin.reset_group_offsets(group, to).items():
            if result["error"].errno:
                raise result["error"](str(p))

    def config(self, topic, key):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, [key])
        say(self.admin.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"])

    def set_config(self, topic, key, value):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {key: (AlterConfigOp.SET, value)})
        self.admin.alter_configs([resource])

    def delete_records(self, topic, partition, offset):
        self.admin.delete_records({TopicPartition(topic, int(partition)): int(offset)})

    def delete_group(self, group):
        for name, error in dict(self.admin.delete_groups([group])).items():
            if error not in ("OK", None) and getattr(error, "errno", 1):
                raise RuntimeError(f"{name}: {error}")

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])


def admin(bootstrap):
    commands = Commands(bootstrap)
    for line in iter(sys.stdin.readline, ""):
        name, *arguments = line.rstrip("\n").split("\t")
        try:
            getattr(commands, name.replace("-", "_"))(*arguments)
            say("ok")
        except Exception as error:  # whatever the client raises is the answer
            say("failed", repr(error).replace("\n", " "))


if __name__ == "__main__":
    if sys.argv[2] == "member":
        member(sys.argv[1], *sys.argv[3:])
    else:
        admin(sys.argv[1])
