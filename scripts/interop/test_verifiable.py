"""That what members say of themselves is looked at: `python3 -m unittest` in this folder."""

import json
import sys
import unittest

from talk import Failed
from verifiable import VerifiableConsumer


def said(*lines):
    """A member that said this and ended."""
    consumer = VerifiableConsumer("it", [sys.executable, "-c", f"print({chr(10).join(lines)!r})"])
    consumer.process.wait()
    consumer.reader.join()
    for stream in (consumer.process.stdin, consumer.process.stdout, consumer.stderr):
        stream.close()
    return consumer


class Events(unittest.TestCase):
    def test_a_commit_that_failed_fails_the_step(self):
        committed = {"name": "offsets_committed", "offsets": [], "success": True}
        said(json.dumps(committed)).check()
        consumer = said(json.dumps(committed), json.dumps({**committed, "success": False, "error": "nobody is there"}))
        with self.assertRaisesRegex(Failed, "a commit failed: nobody is there"):
            consumer.check()
        with self.assertRaisesRegex(Failed, "a commit failed"):
            consumer.until(lambda: False, lambda: "what never comes")

    def test_a_line_that_is_not_understood_fails_the_step(self):
        for line in ("no JSON", json.dumps({"name": "record_data"})):
            with self.assertRaisesRegex(Failed, "not understood"):
                said(line).check()

    def test_what_is_assigned_comes_to_what_is_owned_and_what_is_revoked_goes(self):
        def event(name, *partitions):
            return json.dumps({"name": name, "partitions": [{"topic": "t", "partition": p} for p in partitions]})

        consumer = said(event("partitions_assigned", 0, 1, 2), event("partitions_revoked", 1))
        self.assertEqual((consumer.owned, consumer.given_up), ({0, 2}, {1}))


if __name__ == "__main__":
    unittest.main()
