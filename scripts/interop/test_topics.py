"""That the checks see what they are there to see: `python3 -m unittest` in this folder."""

import unittest
from dataclasses import replace

from talk import Failed, Read
from topics import Topic, key_of, value_of


class Checks(unittest.TestCase):
    def setUp(self):
        self.topic = Topic("t")
        self.topic.codecs = ["lz4"] * 30
        self.reads = [Read(n % 4, n // 4, key_of(n) or "null", value_of(n), "lz4") for n in range(30)]

    def refuses(self, reads, why, first=0):
        with self.assertRaisesRegex(Failed, why):
            self.topic.check(reads, first)

    def test_what_was_produced_passes_in_any_order(self):
        self.topic.check(self.reads[::-1])

    def test_a_missing_record_is_seen(self):
        self.refuses(self.reads[:7] + self.reads[8:], "1 of 30 records missing, the first is number 7")

    def test_a_record_that_was_read_twice_is_seen(self):
        self.refuses(self.reads + self.reads[4:5], "1 records read twice")

    def test_a_record_that_was_stored_twice_is_seen(self):
        self.refuses(self.reads + [replace(self.reads[4], offset=99)], "1 records stored twice")

    def test_a_record_from_before_the_commit_is_seen(self):
        self.refuses(self.reads[9:], "read again, the first is number 9", first=10)

    def test_another_value_key_or_header_is_seen(self):
        for changed, why in [
            (replace(self.reads[4], value=self.reads[4].value[:-1]), "value"),
            (replace(self.reads[4], key="k5"), "key"),
            (replace(self.reads[10], key="k10"), "key"),
            (replace(self.reads[4], codec="zstd"), "header"),
        ]:
            self.refuses(self.reads[:4] + [changed] + self.reads[5:] if changed.offset == 1 else self.reads[:10] + [changed], why)


if __name__ == "__main__":
    unittest.main()
