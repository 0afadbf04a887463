"""Kohort and another client in one group: who comes first leads and assigns, the other takes what it is given."""

from group import group_of, settled
from talk import Failed, expect
from topics import CODECS, Topic

PAUSE = 20


def share(table, client, kohort, bootstrap, inspector, run_id, count, quick):
    """Each assignor with each of the two as the leader; `quick`: one leader for each assignor."""
    ways = [("range", True), ("roundrobin", False), ("range", False), ("roundrobin", True)]
    session = client.session(bootstrap)
    for number, (assignor, kohort_leads) in enumerate(ways[: 2 if quick else 4]):
        leader = kohort.name if kohort_leads else client.name
        with table.step("pair", f"{client.name} + kohort", f"{assignor}, {'kohort' if kohort_leads else 'the other'} leads"):
            pair = [kohort, client] if kohort_leads else [client, kohort]
            topic = Topic(f"{run_id}-{assignor}-{leader}-{client.name}")
            # Three codecs of Kohort's producer and three of the other's; the two ways of a quick run have all of them.
            codecs = [CODECS[(3 * number + i) % len(CODECS)] for i in range(3)]
            one_group(topic, pair, assignor, codecs, session, kohort, bootstrap, count)
            if inspector:
                stored = {name: int(records) for name, records in inspector("codecs", topic.name)}
                expect(stored, {name: topic.codecs.count(name) for name in CODECS}, "stored by codec")
    session.close()


def one_group(topic, pair, assignor, codecs, session, kohort, bootstrap, count):
    name = f"{topic.name}-group"

    def assigned():
        """How many partitions each described member has, by the client's name."""
        (state, *_), *members = session("group", name)
        shares = {("kohort" if m.startswith("kohort") else m): len(p.split(",")) if p else 0 for m, p in members}
        return state.lower(), shares

    def both_write(part):
        lines = topic.lines(codecs[part], count, lambda key, value: f"{key}:{value}" if key else value)
        header = f"codec={codecs[part]}"
        kohort.run(bootstrap, "produce", "-t", topic.name, "-K:", "-z", codecs[part], "-H", header, stdin=lines)
        topic.produce(session, codecs[part - 1], count)

    kohort.run(bootstrap, "topics", "create", topic.name, "--partitions", str(topic.PARTITIONS))
    settled(lambda: session("topics"), lambda names: (topic.name,) in names, "topics")
    both_write(0)
    with group_of(topic) as group:
        first, second = pair
        leader = group.join(first.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(assigned, ("stable", {first.name: 4}), f"{first.name} alone")
        follower = group.join(second.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(assigned, ("stable", {first.name: 2, second.name: 2}), "the assignment of both")
        both_write(1)
        group.until_read(len(topic), leader)
        if not (leader.records and follower.records):
            raise Failed("one of the two read nothing")
        leader.stop()
        settled(assigned, ("stable", {second.name: 4}), f"{second.name} alone")
        both_write(2)
        group.until_read(len(topic), follower)
        follower.stop()
        topic.check(group.reads())
    ends = {p: end for p, (_, end) in session.numbers("ends", topic.name).items()}
    expect({p: o for p, (o,) in session.numbers("committed", name, topic.name).items()}, ends, "committed at the end")
