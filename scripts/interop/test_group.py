"""That what is told of a group is looked at: `python3 -m unittest` in this folder."""

import sys
import unittest
from types import SimpleNamespace

from everyone import Scene
from group import Group
from talk import Failed, Member, Read


def member(name, *places, killed=False, leads=False, owned=None):
    records = [Read(partition, offset, "k", f"value {partition + 2 * offset} …", None) for partition, offset in places]
    return SimpleNamespace(name=name, records=records, killed=killed, leads=leads, owned=owned)


class Reads(unittest.TestCase):
    def read(self, *members):
        group = Group(None)
        group.members = list(members)
        return sorted(read.place for read in group.reads())

    def test_what_a_killed_member_read_too_stands_there_once(self):
        first, second = member("a", (0, 0), (0, 1), killed=True), member("b", (0, 1), (0, 2), killed=True)
        self.assertEqual(self.read(first, second, member("c", (0, 2), (0, 3))), [(0, 0), (0, 1), (0, 2), (0, 3)])

    def test_what_two_read_that_were_not_killed_stands_there_twice(self):
        self.assertEqual(self.read(member("a", (0, 0)), member("b", (0, 0))), [(0, 0), (0, 0)])

    def test_a_line_that_a_killed_member_did_not_end_is_not_read(self):
        lines = "record\\t0\\t0\\tk\\tvalue 0\\t-\\nrecord\\t0\\t1\\tk\\tvalue 1\\tlz"
        cut = Member("cut", [sys.executable, "-c", f"import sys; sys.stdout.write('{lines}')"])
        cut.process.wait()
        cut.reader.join()
        for stream in (cut.process.stdin, cut.process.stdout, cut.stderr):
            stream.close()
        self.assertEqual([read.place for read in cut.records], [(0, 0)])


class AtRest(unittest.TestCase):
    def scene(self, *members, before=None):
        scene = Scene.__new__(Scene)
        scene.living = list(members)
        scene.shares = before or {}
        scene.offers = {member.name: ["sticky"] for member in members}
        scene.topic = SimpleNamespace(partitions=2)
        return scene

    def refuses(self, why, look, *arguments):
        with self.assertRaisesRegex(Failed, why):
            look(*arguments)

    def test_two_leaders_are_seen(self):
        self.refuses("leaders", self.scene(member("java", leads=True), member("kohort", leads=True)).leader)
        self.refuses("leaders", self.scene(member("a")).leader)

    def test_a_sticky_member_that_lost_what_it_could_keep_is_seen(self):
        scene = self.scene(member("java", leads=True), member("kohort"), before={"java": {0, 1}})
        scene.kept("sticky", {"java": {1}, "kohort": {0}})
        scene = self.scene(member("java", leads=True), before={"java": {0}, "kohort": {1}})
        scene.kept("sticky", {"java": {0, 1}})
        scene = self.scene(member("java", leads=True), member("kohort"), before={"java": {0}, "kohort": {1}})
        self.refuses(r"java had \[0\], has \[1\]", scene.kept, "sticky", {"java": {1}, "kohort": {0}})

    def test_whom_the_leader_cannot_hear_may_lose_what_it_had(self):
        for assignor, leader, python_keeps in (
            ("sticky", "java", False),
            ("sticky", "kafka-python", True),
            ("cooperative-sticky", "java", True),
            ("cooperative-sticky", "franz-go", False),
        ):
            members = [member(name, leads=name == leader) for name in ("java", "franz-go", "kafka-python")]
            scene = self.scene(*members, before={"kafka-python": {0}})
            if python_keeps:
                self.refuses("kafka-python had", scene.kept, assignor, {"kafka-python": {1}})
            else:
                scene.kept(assignor, {"kafka-python": {1}})


if __name__ == "__main__":
    unittest.main()
