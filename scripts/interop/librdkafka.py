"""confluent-kafka, that is librdkafka, behind the commands that `walk.py` gives."""

import logging
import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer
from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, OffsetSpec, ResourceType


def say(*fields):
    print(*fields, sep="\t", flush=True)


class Leading(logging.Handler):
    """Says when the assignor runs for the group: there is no other way to hear of it than librdkafka's log."""

    def emit(self, record):
        if "assignor for" in record.getMessage():
            say("leads")


def member(bootstrap, topic, group, assignors, pause, session, instance, rack):
    logger = logging.getLogger("librdkafka")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(Leading())
    settings = {
        "debug": "cgrp",
        "logger": logger,
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": "librdkafka",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 300,
        "session.timeout.ms": int(session),
        "partition.assignment.strategy": assignors,
    }
    if instance != "-":
        settings["group.instance.id"] = instance
    if rack != "-":
        settings["client.rack"] = rack
    consumer = Consumer(settings)
    owned = set()

    def assigned(_, partitions):
        owned.update(p.partition for p in partitions)
        say("owns", ",".join(map(str, sorted(owned))))

    def revoked(_, partitions):
        commit()
        owned.difference_update(p.partition for p in partitions)
        say("owns", ",".join(map(str, sorted(owned))))

    read = {}  # what is to be committed

    def commit():
        mine = [TopicPartition(topic, p, o) for p, o in read.items() if p in owned]
        try:
            if mine:
                consumer.commit(offsets=mine, asynchronous=False)
            read.clear()
        except KafkaException as error:
            # A cooperative member reads on during a rebalance and commits when it is over.
            if error.args[0].code() not in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION):
                raise

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
    while not stop.is_set():
        records = consumer.consume(50, 0.2)
        for r in records:
            if r.error():
                raise KafkaException(r.error())
            key = r.key().decode() if r.key() is not None else "null"
            headers = dict(r.headers() or [])
            say("record", r.partition(), r.offset(), key, r.value().decode(), headers.get("codec", b"-").decode())
            read[r.partition()] = r.offset() + 1
        if records:
            commit()
            time.sleep(int(pause) / 1000)
    commit()
    while read:
        time.sleep(0.1)
        commit()
    consumer.close()
    say("closed")


def only(futures):
    (future,) = futures.values()
    return future.result(30)


class Commands:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        # An administrator that begins anew when its only broker is away may ask a coordinator for ever that it has given up itself
        # (librdkafka's issue 5511).
        settings = {"bootstrap.servers": bootstrap, "client.id": "librdkafka-admin", "metadata.recovery.strategy": "none"}
        self.admin = AdminClient(settings)
        self.kept = None  # the producer that stays open

    def partitions(self, topic):
        return [p.id for p in self.topic(topic).partitions]

    def topic(self, topic):
        return only(self.admin.describe_topics(TopicCollection([topic])))

    def offsets(self, topic, spec):
        asked = self.admin.list_offsets({TopicPartition(topic, p): spec for p in self.partitions(topic)})
        return {p.partition: future.result(30).offset for p, future in asked.items()}

    def create(self, topic, partitions):
        only(self.admin.create_topics([NewTopic(topic, int(partitions), 1)]))

    def topics(self):
        for name in self.admin.list_topics(timeout=30).topics:
            say(name)

    def describe(self, topic):
        for p in self.topic(topic).partitions:
            say(p.id, p.leader.id)

    def producer(self, codec, acks):
        return Producer({
            "bootstrap.servers": self.bootstrap,
            "compression.type": codec,
            "acks": acks,
            "enable.idempotence": acks == "all",
            "linger.ms": 20,
        })

    def produce(self, topic, codec, acks, start, count):
        self.send(self.producer(codec, acks), topic, codec, start, count)

    def produce_on(self, topic, codec, start, count):
        self.kept = self.kept or self.producer("lz4", "all")
        self.send(self.kept, topic, codec, start, count)

    def send(self, producer, topic, codec, start, count):
        reports = []
        for i in range(int(start), int(start) + int(count)):
            producer.produce(
                topic,
                value=f"value {i} " + "interop " * 12,
                key=None if i % 10 == 0 else f"k{i}",
                headers={"codec": codec},
                on_delivery=lambda error, _: reports.append(error),
            )
            producer.poll(0)
        producer.flush(60)
        failed = [str(error) for error in reports if error]
        if failed:
            raise RuntimeError(f"{len(failed)} not produced: {failed[0]}")
        say(len(reports))

    def ends(self, topic):
        first, last = self.offsets(topic, OffsetSpec.earliest()), self.offsets(topic, OffsetSpec.latest())
        for p in first:
            say(p, first[p], last[p])

    def groups(self):
        listed = self.admin.list_consumer_groups(request_timeout=30).result()
        if listed.errors:
            raise listed.errors[0]
        for group in listed.valid:
            say(group.group_id)

    def group(self, group):
        described = only(self.admin.describe_consumer_groups([group], request_timeout=30))
        say(described.state.name, described.partition_assignor)
        for m in described.members:
            say(m.client_id, ",".join(str(p.partition) for p in sorted(m.assignment.topic_partitions)))

    def committed(self, group, topic):
        listed = only(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        for p in listed.topic_partitions:
            if p.topic == topic:
                say(p.partition, p.offset)

    def reset(self, group, topic):
        to = [TopicPartition(topic, p, o) for p, o in self.offsets(topic, OffsetSpec.earliest()).items()]
        only(self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, to)]))

    def config(self, topic, key):
        say(only(self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))[key].value)

    def set_config(self, topic, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        only(self.admin.incremental_alter_configs([resource]))

    def delete_records(self, topic, partition, offset):
        only(self.admin.delete_records([TopicPartition(topic, int(partition), int(offset))]))

    def delete_group(self, group):
        only(self.admin.delete_consumer_groups([group]))

    def delete_topic(self, topic):
        only(self.admin.delete_topics([topic]))


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
