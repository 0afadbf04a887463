"""All clients in one group, while records are written all the time: they come, are killed and leave, the leader always first, so that
each leads; and the upgrade of a running group from eager to cooperative.

Whenever the group has come to rest: it is stable, the shares are even, each partition has one owner, which is who read what was
written since, and with a sticky assignor whoever stayed kept what it had, as far as the balance allows. At the end nothing was
skipped, and nothing was read twice but what a killed member may not have committed."""

from contextlib import contextmanager
from itertools import cycle

from group import described, group_of, settled
from talk import Failed, expect
from topics import Topic, Writer

PAUSE = 20
PARTITIONS = 12
SESSION = 6000  # ms, the shortest that a broker grants by default
BUSY_SESSION = 12000  # where other work runs beside
LONG_SESSION = 30000  # where nobody is killed
STICKY = ("sticky", "cooperative-sticky")


def everyone(table, clients, kohort, bootstrap, run_id, count, quick):
    """All clients that have the assignor, once for each assignor; `quick`: for the last one, and one leader is killed."""
    for assignor in kohort.assignors[-1:] if quick else kohort.assignors:
        members = [client for client in (kohort, *clients) if assignor in client.assignors]
        with table.step("group of", " + ".join(client.name for client in members), assignor) as told:
            topic = Topic(f"{run_id}-{assignor}-everyone", PARTITIONS)
            with scene(topic, clients, bootstrap, count, BUSY_SESSION if quick else SESSION) as group:
                for client in members:
                    group.comes(client, [assignor])
                survivors = len(members) - 1 if quick else 1
                while len(group.living) > survivors:
                    group.goes(group.leader(), killed=True)
                left = [member.name for member in group.living]
                for client in members:
                    if client.name not in left:
                        group.comes(client, [assignor])
                while group.living:
                    group.goes(group.leader())
                told += group.figures()


def upgrade(table, clients, kohort, bootstrap, run_id, count):
    """From `range` to `cooperative-sticky` by two rolling bounces, as KIP-429 says."""
    members = [client for client in (kohort, *clients) if client.migrates]
    offers = (["range"], ["cooperative-sticky", "range"], ["cooperative-sticky"])
    with table.step("group of", " + ".join(client.name for client in members), "upgrade") as told:
        with scene(Topic(f"{run_id}-upgrade", PARTITIONS), clients, bootstrap, count, LONG_SESSION) as group:
            for client in members:
                group.comes(client, offers[0])
            for offer in offers[1:]:
                for client in members:
                    (before,) = [member for member in group.living if member.name == client.name]
                    group.goes(before)
                    group.comes(client, offer)
            while group.living:
                group.goes(group.living[0])
            told += group.figures()


@contextmanager
def scene(topic, clients, bootstrap, count, session):
    admins = [client.session(bootstrap) for client in clients]
    admins[0]("create", topic.name, topic.partitions)
    settled(lambda: admins[-1]("topics"), lambda names: (topic.name,) in names, "topics")
    writer = Writer(topic, admins, count // 10)
    try:
        with group_of(topic) as group:
            yield Scene(group, admins, bootstrap, writer, session)
            topic.check(group.reads())
    finally:
        writer.stopped.set()
        writer.thread.join()
        for admin in admins:
            admin.close()


def is_heard(client, leader, assignor):
    """Whether the leader understands what the client says that it had: docs/assignors.md tells who does not, and why."""
    if assignor == "sticky":
        # franz-go forgets what it had when it gives it up, and kafka-python's user data are its own.
        return client == leader if leader == "kafka-python" else client in ("kohort", "java")
    # kafka-python tells no generation, and franz-go looks at what is owned only where there is one.
    return (client, leader) != ("kafka-python", "franz-go")


class Scene:
    def __init__(self, group, admins, bootstrap, writer, session):
        self.group = group
        self.topic = group.topic
        self.name = f"{group.topic.name}-group"
        self.admins = cycle(admins)  # another one is asked each time
        self.bootstrap = bootstrap
        self.writer = writer
        self.session = session
        self.living = []
        self.offers = {}  # by client's name
        self.assignor = None
        self.shares = {}  # by client's name, when the group was at rest the last time
        self.rested = 0  # how often it was

    def comes(self, client, assignors):
        self.offers[client.name] = assignors
        member = client.member(self.bootstrap, self.topic.name, self.name, ",".join(assignors), PAUSE, session=self.session)
        self.living.append(self.group.join(member))
        self.rests(f"{client.name} came")

    def goes(self, member, killed=False):
        if len(self.living) == 1:
            self.writer.stop()
            settled(lambda: len(self.group.reads()), len(self.topic), "records read")
        self.living.remove(member)
        member.kill() if killed else member.stop()
        if self.living:
            self.rests(f"{member.name} {'was killed' if killed else 'left'}")

    def leader(self):
        leaders = [member for member in self.living if member.leads]
        expect(len(leaders), 1, f"leaders {[member.name for member in leaders]} of {[member.name for member in self.living]}")
        return leaders[0]

    def rests(self, after):
        """Waits until the group is at rest, and looks at it."""
        try:
            assignor, shares = self.described()
            for member in self.living:
                member.until(lambda: member.owned == shares[member.name], lambda: f"{shares[member.name]}, owns {member.owned}")
            settled(self.leader, lambda leader: leader, "leader")
            self.read_by_owners(shares)
            if assignor in STICKY and assignor == self.assignor:
                self.kept(assignor, shares)
        except Failed as failure:
            raise Failed(f"after {after}: {failure}") from None
        self.assignor, self.shares = assignor, shares
        self.rested += 1

    def figures(self):
        return f"{len(self.topic)} records", f"{self.rested} times at rest"

    def described(self):
        """Assignor and shares, when the group is stable and each of the living has an even share."""
        names = sorted(member.name for member in self.living)
        few, rest = divmod(self.topic.partitions, len(names))
        even = [few] * (len(names) - rest) + [few + 1] * rest

        def at_rest(seen):
            state, assignor, shares = seen
            sizes = sorted(map(len, shares.values()))
            return state == "stable" and assignor == self.wanted() and sorted(shares) == names and sizes == even and owned_by_one(shares)

        def owned_by_one(shares):
            return len(set().union(*shares.values())) == self.topic.partitions

        _, assignor, shares = settled(lambda: described(next(self.admins), self.name), at_rest, f"{self.wanted()}, {even} of {names}")
        return assignor, shares

    def wanted(self):
        """The assignor that all offer; where there are two, all name the same one first."""
        offers = [self.offers[member.name] for member in self.living]
        return next(name for name in offers[0] if all(name in offer for offer in offers))

    def kept(self, assignor, shares):
        """Who stayed kept what it had, as far as the balance allows."""
        leader = self.leader().name
        for name in sorted(self.shares.keys() & shares.keys()):
            if len(self.offers[name]) > 1:
                continue  # eager until it offers nothing else, and with `cooperative-sticky` nothing tells what it had
            before, now = self.shares[name], shares[name]
            if is_heard(name, leader, assignor) and len(before & now) < min(len(before), len(now)):
                raise Failed(f"{name} had {sorted(before)}, has {sorted(now)}, led by {leader}")

    def read_by_owners(self, shares):
        """Waits until of each partition something was read that was not yet written when the group was at rest."""
        mark = len(self.topic)
        looked_at = {member.name: len(member.records) for member in self.living}
        readers = {}

        def seen():
            for member in self.living:
                records = member.records[looked_at[member.name] :]
                looked_at[member.name] += len(records)
                for read in records:
                    if read.number >= mark:
                        readers.setdefault(read.partition, set()).add(member.name)
            if self.writer.failure:
                raise self.writer.failure
            return readers

        settled(seen, lambda readers: len(readers) == self.topic.partitions, "partitions that are read")
        expect(readers, {p: {name} for name, owned in shares.items() for p in owned}, "who reads which partition")
