"""The members of one group, and what they read together."""

import time
from contextlib import contextmanager

from talk import PATIENCE, Failed, brief, tail


class Group:
    def __init__(self, topic):
        self.topic = topic
        self.members = []

    def join(self, member):
        self.members.append(member)
        return member

    def reads(self):
        """What all members read. What a killed member read and another one read again stands there once: whether it was committed
        nobody knows."""
        reads = [read for member in self.members if not member.killed for read in list(member.records)]
        places = {read.place for read in reads}
        for member in self.members:
            if member.killed:
                again = {read.place: read for read in member.records if read.place not in places}
                reads += again.values()
                places.update(again)
        return reads

    def until_read(self, count, member):
        """Waits until all members together have read this many records; `member` is one that lives."""

        def read():
            return sum(len(m.records) for m in self.members)

        member.until(lambda: read() >= count, lambda: f"{count} records, read {read()}")

    def until_owned(self, *members):
        """Waits until these members say that they own all partitions, evenly."""
        share = self.topic.partitions // len(members)

        def even():
            owned = [m.owned or set() for m in members]
            return all(len(o) == share for o in owned) and len(set().union(*owned)) == self.topic.partitions

        members[0].until(even, lambda: f"{share} partitions each, owned {[m.owned for m in members]}")


@contextmanager
def group_of(topic):
    """A group whose members are gone at the end, whatever happens. None of them, killed or not, may have said what must not be."""
    group = Group(topic)
    try:
        yield group
        for member in group.members:
            member.check()
    except Failed as failure:
        ended = [f"{m.name} ended with {m.process.returncode}: {tail(m.stderr)}" for m in group.members if m.process.poll()]
        raise Failed("; ".join([str(failure), *ended])) from None
    finally:
        for member in group.members:
            member.kill()


def described(session, group):
    """The group's state and assignor, and which partitions each described member has, by its client's name."""
    (state, assignor), *members = session("group", group)
    shares = {("kohort" if m.startswith("kohort") else m): {int(p) for p in owned.split(",") if p} for m, owned in members}
    return state.lower(), assignor, shares


def settled(probe, wanted, what):
    """Asks again until the answer is the wanted one, and gives it: what is asked for is true soon, not at once."""
    end = time.monotonic() + PATIENCE / 2
    while True:
        try:
            seen = probe()
            if wanted(seen) if callable(wanted) else seen == wanted:
                return seen
        except Failed as failure:  # a group is unknown until its first member came
            seen = failure
        if time.monotonic() > end:
            raise Failed(f"{what}: {brief(seen)}")
        time.sleep(0.2)
