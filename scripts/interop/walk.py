"""The way that each client with a session goes: from the creation of a topic to its deletion."""

import time
from concurrent.futures import ThreadPoolExecutor, wait

from group import group_of, settled
from talk import Failed, expect
from topics import CODECS, Topic

GIVING = 1  # s in which a client's program is through with giving its records to the producer
PAUSE = 20  # ms after each poll of at most 50 records, so that a rebalance comes while there is something to read


def walk(table, client, server, inspector, run_id, count, quick):
    """`server` is the broker, `inspector` a session that can tell the codec of stored records, or None."""

    def step(column):
        return table.step("client", client.name, column)

    bootstrap = server.bootstrap
    session = client.session(bootstrap)
    topic = Topic(f"{run_id}-{client.name}")
    group, cooperative = f"{topic.name}-group", f"{topic.name}-cooperative"

    def member(name, assignor="range", pause=PAUSE, **more):
        return client.member(bootstrap, topic.name, name, assignor, pause, **more)

    def committed_is_end(name):
        ends = {p: end for p, (_, end) in session.numbers("ends", topic.name).items()}
        expect({p: o for p, (o,) in session.numbers("committed", name, topic.name).items()}, ends, f"committed of {name}")

    with step("create"):
        session("create", topic.name, topic.partitions)
        settled(lambda: session("topics"), lambda names: (topic.name,) in names, "topics")
        settled(lambda: sorted(session.numbers("describe", topic.name)), list(range(topic.partitions)), "partitions")
    for codec in CODECS:
        with step(codec):
            topic.produce(session, codec, count)
            if inspector:
                stored = {name: int(number) for name, number in inspector("codecs", topic.name)}
                expect(stored, {name: topic.codecs.count(name) for name in CODECS}, "stored by codec")
    with step("acks=1"):
        topic.produce(session, "lz4", count, "1")
    with step("acks=0"):
        topic.produce(session, "none", count, "0")
        settled(lambda: sum(end for _, end in session.numbers("ends", topic.name).values()), len(topic), "records stored")
    with step("group of 2"), group_of(topic) as two:
        first = two.join(member(group))
        two.until_owned(first)
        second = two.join(member(group))
        two.until_owned(first, second)
        topic.produce(session, "none", count)
        two.until_read(len(topic), first)
        state, *members = session("group", group)
        expect(state[0].lower(), "stable", "state")
        expect(sorted(len(owned.split(",")) for _, owned in members), [2, 2], "partitions of the described members")
        if not (first.records and second.records):
            raise Failed("one of the two read nothing")
        second.stop()
        two.until_owned(first)
        topic.produce(session, "gzip", count)
        two.until_read(len(topic), first)
        first.stop()
        topic.check(two.reads())
        committed_is_end(group)
    with step("resume"), group_of(topic) as one:
        before = len(topic)
        topic.produce(session, "zstd", count)
        again = one.join(member(group))
        one.until_owned(again)
        one.until_read(count, again)
        again.stop()
        topic.check(one.reads(), before)
        committed_is_end(group)
    with step("cooperative"), group_of(topic) as two:
        first = two.join(member(cooperative, "cooperative-sticky"))
        two.until_owned(first)
        second = two.join(member(cooperative, "cooperative-sticky"))
        two.until_owned(first, second)
        expect(len(first.given_up), 2, "partitions that the first gave up")
        two.until_read(len(topic), first)
        first.stop()
        two.until_owned(second)
        second.stop()
        topic.check(two.reads())
        committed_is_end(cooperative)
    if server.comes_back:
        with step("restart"):
            restart(client, server, session, Topic(f"{topic.name}-restart"), count)
            committed_is_end(group)
            committed_is_end(cooperative)
    else:
        table.leave_out("client", client.name, "restart", f"{server.name} is not killed")
    if not quick:
        with step("static"), group_of(topic) as two:
            name = f"{topic.name}-static"
            first = two.join(member(name, instance="one"))
            two.until_owned(first)
            second = two.join(member(name, instance="two"))
            two.until_owned(first, second)
            changes, stopped = len(second.history), time.monotonic() % 1000
            first.stop()
            again = two.join(member(name, instance="one"))
            two.until_owned(again, second)
            topic.produce(session, "none", count)
            two.until_read(len(topic), again)
            if len(second.history) != changes:
                told = f"stopped {stopped:.1f} s, first {first.history}, again {again.history}, the other {second.history}"
                raise Failed(f"what the other owns changed while a static member restarted: {told}")
            again.stop()
            second.stop()
            topic.check(two.reads())
        with step("killed"), group_of(topic) as two:
            name = f"{topic.name}-killed"
            first = two.join(member(name, session=6000))
            two.until_owned(first)
            second = two.join(member(name, session=6000))
            two.until_owned(first, second)
            topic.produce(session, "none", count)  # the first may have read all there was before the second came
            second.until(lambda: second.records, lambda: "a record")
            second.kill()
            two.until_owned(first)
            topic.produce(session, "none", count)
            settled(lambda: len(two.reads()), len(topic), "records read")
            first.stop()
            topic.check(two.reads())
        with step("volume"), group_of(topic) as two:
            name = f"{topic.name}-volume"
            if client.commits_while_rebalancing:
                topic.produce(session, "snappy", 30 * count)
            first = two.join(member(name, pause=0))
            if not client.commits_while_rebalancing:
                two.until_read(len(topic), first)
            second = two.join(member(name, pause=0))
            if not client.commits_while_rebalancing:
                two.until_owned(first, second)
                topic.produce(session, "snappy", 30 * count)
            two.until_read(len(topic), first)
            first.stop()
            second.stop()
            topic.check(two.reads())
            committed_is_end(name)
    with step("list"):
        names = session("groups")
        expect([(name,) in names for name in (group, cooperative)], [True, True], "groups are listed")
        settled(lambda: session("group", group)[0][0].lower(), "empty", "state of the group that all have left")
    with step("config"):
        session("set-config", topic.name, "retention.ms", "86400001")
        settled(lambda: session("config", topic.name, "retention.ms"), [("86400001",)], "retention.ms")
    with step("reset"), group_of(topic) as one:
        session("reset", group, topic.name)
        expect(set(session.numbers("committed", group, topic.name).values()), {(0,)}, "committed after the reset")
        again = one.join(member(group, pause=0))
        one.until_read(len(topic), again)
        again.stop()
        topic.check(one.reads())
    with step("trim"):
        (_, end) = session.numbers("ends", topic.name)[0]
        session("delete-records", topic.name, 0, end - 3)
        expect(session.numbers("ends", topic.name)[0], (end - 3, end), "first and end offset after the deletion of records")
    with step("delete"):
        session("delete-group", group)
        settled(lambda: (group,) in session("groups"), False, "the deleted group is listed")
        session("delete-topic", topic.name)
        settled(lambda: (topic.name,) in session("topics"), False, "the deleted topic is listed")
    session.close()


def restart(client, server, session, topic, count):
    """The broker is killed and started again, while a member is there, a producer and an administrator; all go on by themselves."""
    group = f"{topic.name}-group"

    def committed_all():
        ends = {p: (end,) for p, (_, end) in session.numbers("ends", topic.name).items()}
        return session.numbers("committed", group, topic.name) == ends

    def member():
        return client.member(server.bootstrap, topic.name, group, "range", PAUSE)

    session("create", topic.name, topic.partitions)
    # Java's idempotent producer may not come to an end if a leader refuses its first batch and takes the second (KAFKA-14359).
    settled(lambda: sorted(session.numbers("ends", topic.name)), list(range(topic.partitions)), "partitions whose leader answers")
    topic.produce_on(session, "lz4", count)
    with group_of(topic) as one:
        lasting = one.join(member())
        lasting.may_lose_session = True
        one.until_read(count, lasting)
        settled(committed_all, True, "everything is committed before the restart")
        server.kill()
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit(topic.produce_on, session, "zstd", count)
            # All is given to the producer meanwhile, while there is no broker.
            if wait([written], GIVING).done:
                raise Failed("records were written without a broker, or the producer gave up")
            server.resume()
            written.result()
        topic.produce_on(session, "none", count)
        one.until_read(len(topic), lasting)
        lasting.stop()
        topic.check(one.reads())
        expect(committed_all(), True, "everything is committed after the restart")
    before = len(topic)
    topic.produce_on(session, "gzip", count)
    with group_of(topic) as one:
        fresh = one.join(member())
        one.until_read(count, fresh)
        fresh.stop()
        topic.check(one.reads(), before)
    session("delete-topic", topic.name)
