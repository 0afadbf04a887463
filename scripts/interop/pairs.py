"""Kohort and other clients in one group: who comes first leads and assigns, the others take what they are given."""

from group import described, group_of, settled
from talk import Failed, expect
from topics import CODECS, Topic

PAUSE = 20


def share(table, client, kohort, bootstrap, inspector, run_id, count, quick):
    """Each assignor with each of the two as the leader; `quick`: the first of these."""
    ways = [("range", True), ("roundrobin", False), ("range", False), ("roundrobin", True)]
    session = client.session(bootstrap)
    for number, (assignor, kohort_leads) in enumerate(ways[: 1 if quick else 4]):
        leader = kohort.name if kohort_leads else client.name
        with table.step("pair", f"{client.name} + kohort", f"{assignor}, {'kohort' if kohort_leads else 'the other'} leads"):
            pair = [kohort, client] if kohort_leads else [client, kohort]
            topic = Topic(f"{run_id}-{assignor}-{leader}-{client.name}")
            # Three codecs of Kohort's producer and three of the other's.
            codecs = [CODECS[(3 * number + i) % len(CODECS)] for i in range(3)]
            one_group(topic, pair, assignor, codecs, session, kohort, bootstrap, count)
            if inspector:
                stored = {name: int(records) for name, records in inspector("codecs", topic.name)}
                expect(stored, {name: topic.codecs.count(name) for name in CODECS}, "stored by codec")
    session.close()


def one_group(topic, pair, assignor, codecs, session, kohort, bootstrap, count):
    name = f"{topic.name}-group"

    def both_write(part):
        lines = topic.lines(codecs[part], count, lambda key, value: f"{key}:{value}" if key else value)
        header = f"codec={codecs[part]}"
        kohort.run(bootstrap, "produce", "-t", topic.name, "-K:", "-z", codecs[part], "-H", header, stdin=lines)
        topic.produce(session, codecs[part - 1], count)

    def shares():
        state, used, shares = described(session, name)
        expect((state, used), ("stable", assignor), "state and assignor")
        return {client: len(owned) for client, owned in shares.items()}

    kohort.run(bootstrap, "topics", "create", topic.name, "--partitions", str(topic.partitions))
    settled(lambda: session("topics"), lambda names: (topic.name,) in names, "topics")
    both_write(0)
    with group_of(topic) as group:
        first, second = pair
        leader = group.join(first.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(shares, {first.name: 4}, f"{first.name} alone")
        follower = group.join(second.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(shares, {first.name: 2, second.name: 2}, "the assignment of both")
        both_write(1)
        group.until_read(len(topic), leader)
        if not (leader.records and follower.records):
            raise Failed("one of the two read nothing")
        leader.stop()
        settled(shares, {second.name: 4}, f"{second.name} alone")
        both_write(2)
        group.until_read(len(topic), follower)
        follower.stop()
        topic.check(group.reads())
    ends = {p: end for p, (_, end) in session.numbers("ends", topic.name).items()}
    expect({p: o for p, (o,) in session.numbers("committed", name, topic.name).items()}, ends, "committed at the end")
