"""Kohort and other clients in one group: who comes first leads and assigns, the others take what they are given."""

from group import group_of, settled
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


def everyone(table, clients, kohort, bootstrap, run_id, count):
    """All clients in one group, joining one after the other; the leader leaves first, so that each leads once."""
    members = [kohort, *clients]
    sessions = [client.session(bootstrap) for client in clients]
    for assignor in ("range", "roundrobin"):
        with table.step("group of", " + ".join(member.name for member in members), assignor):
            topic = Topic(f"{run_id}-{assignor}-everyone", 12)
            sessions[0]("create", topic.name, topic.partitions)
            settled(lambda: sessions[-1]("topics"), lambda names: (topic.name,) in names, "topics")
            with group_of(topic) as group:
                in_turn(topic, group, members, assignor, sessions, bootstrap, count)
    for session in sessions:
        session.close()


def in_turn(topic, group, members, assignor, sessions, bootstrap, count):
    name = f"{topic.name}-group"
    codecs = iter(CODECS * 2)

    def shared(number):
        """Asks another session each time: all describe a group that all are in."""
        state, shares = assigned(sessions[number % len(sessions)], name)
        few, rest = divmod(topic.partitions, number)
        return state == "stable" and sorted(shares.values()) == [few] * (number - rest) + [few + 1] * rest

    for number, client in enumerate(members, 1):
        group.join(client.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(lambda: shared(number), True, f"an even share for each of {number}")
        topic.produce(sessions[number % len(sessions)], next(codecs), count)
    group.until_read(len(topic), group.members[0])
    silent = [member.name for member in group.members if not member.records]
    expect(silent, [], "members that read nothing")
    for number in range(len(members) - 1, 0, -1):
        group.members[-1 - number].stop()
        settled(lambda: shared(number), True, f"an even share for each of {number}")
        topic.produce(sessions[number % len(sessions)], next(codecs), count)
    group.until_read(len(topic), group.members[-1])
    group.members[-1].stop()
    topic.check(group.reads())


def assigned(session, group):
    """The group's state, and how many partitions each described member has, by its client's name."""
    (state, *_), *members = session("group", group)
    shares = {("kohort" if m.startswith("kohort") else m): len(p.split(",")) if p else 0 for m, p in members}
    return state.lower(), shares


def one_group(topic, pair, assignor, codecs, session, kohort, bootstrap, count):
    name = f"{topic.name}-group"

    def both_write(part):
        lines = topic.lines(codecs[part], count, lambda key, value: f"{key}:{value}" if key else value)
        header = f"codec={codecs[part]}"
        kohort.run(bootstrap, "produce", "-t", topic.name, "-K:", "-z", codecs[part], "-H", header, stdin=lines)
        topic.produce(session, codecs[part - 1], count)

    kohort.run(bootstrap, "topics", "create", topic.name, "--partitions", str(topic.partitions))
    settled(lambda: session("topics"), lambda names: (topic.name,) in names, "topics")
    both_write(0)
    with group_of(topic) as group:
        first, second = pair
        leader = group.join(first.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(lambda: assigned(session, name), ("stable", {first.name: 4}), f"{first.name} alone")
        follower = group.join(second.member(bootstrap, topic.name, name, assignor, PAUSE))
        settled(lambda: assigned(session, name), ("stable", {first.name: 2, second.name: 2}), "the assignment of both")
        both_write(1)
        group.until_read(len(topic), leader)
        if not (leader.records and follower.records):
            raise Failed("one of the two read nothing")
        leader.stop()
        settled(lambda: assigned(session, name), ("stable", {second.name: 4}), f"{second.name} alone")
        both_write(2)
        group.until_read(len(topic), follower)
        follower.stop()
        topic.check(group.reads())
    ends = {p: end for p, (_, end) in session.numbers("ends", topic.name).items()}
    expect({p: o for p, (o,) in session.numbers("committed", name, topic.name).items()}, ends, "committed at the end")
