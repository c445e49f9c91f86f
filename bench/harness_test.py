#!/usr/bin/env python3
"""Tests of the harness's arithmetic: ratios, verdicts, repeats. No server is started."""

import sys
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from harness import processes, rounds, table, works
from harness.contenders import Contender

ECHO = works.WORKS[0]
IDLE = next(work for work in works.WORKS if work.metric == "idle_bytes")


def run(ns: float, others: float = 0.0) -> dict:
    return {"server": {"ns_per_msg": ns}, "others_cpu_pct": others}


def contender(name: str) -> Contender:
    return Contender(name, (), lambda work, port, shards, certificate: [])


class Scores(unittest.TestCase):
    def test_ratio_is_taken_within_a_round(self):
        # The machine was twice as slow in the second round: the medians alone would say 1.5 / 1.0.
        outcome = rounds.Outcome(ECHO, [{"floor": run(100), "native": run(110)},
                                        {"floor": run(200), "native": run(220)},
                                        {"floor": run(100), "native": run(150)}])
        self.assertAlmostEqual(outcome.score("native"), 1.1)
        self.assertEqual(outcome.median("floor"), 100)
        self.assertIsNone(outcome.score("module"))

    def test_two_shards_are_compared_with_one_of_the_same(self):
        work = next(work for work in works.WORKS if work.baseline == "one_shard")
        outcome = rounds.Outcome(work, [{"native/1": run(100), "native": run(105)}])
        self.assertAlmostEqual(outcome.score("native"), 1.05)

    def test_settings_are_compared_with_none_of_them(self):
        work = next(work for work in works.WORKS if work.baseline == "no_settings")
        outcome = rounds.Outcome(work, [{"module/1": run(100), "module": run(102)}])
        self.assertAlmostEqual(outcome.score("module"), 1.02)
        self.assertIsNone(outcome.score("native"))

    def test_bytes_are_absolute(self):
        outcome = rounds.Outcome(IDLE, [{"floor": {"rss_per_conn_bytes": 60}, "native": {"rss_per_conn_bytes": 290}}])
        self.assertEqual(outcome.score("native"), 290)


class Verdicts(unittest.TestCase):
    def verdict(self, native: float, module: float) -> str:
        outcome = rounds.Outcome(ECHO, [{"floor": run(1000), "native": run(native), "module": run(module)}])
        return table.verdict(outcome)

    def test_at_the_bar_is_ok_and_above_is_not(self):
        self.assertEqual(self.verdict(1040, 1060), "ok")
        self.assertEqual(self.verdict(1041, 1060), "over: native")
        self.assertEqual(self.verdict(1041, 1061), "over: native, module")

    def test_floor_alone_has_no_verdict(self):
        self.assertEqual(table.verdict(rounds.Outcome(ECHO, [{"floor": run(1000)}])), "-")

    def test_problem_is_a_failure(self):
        self.assertEqual(table.verdict(rounds.Outcome(ECHO, problems=[("module", "it ended")])), "FAILED")

    def test_problem_of_a_peer_is_not_ours(self):
        self.assertEqual(table.verdict(rounds.Outcome(ECHO, problems=[("Beast", "it ended")])), "-")

    def test_rooms_that_are_not_given_back_are_a_problem(self):
        holdings = {"rss_kib": 1, "descriptors": 10, "mappings": 40}
        leaked = {**holdings, "descriptors": 4000}
        work = works.WORKS[-1]
        good = {"before": holdings, "cycles": [{"answered": work.conns, "after": holdings}]}
        self.assertEqual(rounds.check(work, good), [])
        bad = {"before": holdings, "cycles": [{"answered": work.conns - 1, "after": leaked}]}
        self.assertEqual(len(rounds.check(work, bad)), 2)


    def test_handshakes_that_were_not_held_or_not_closed_are_a_problem(self):
        work = next(work for work in works.WORKS if work.metric == "connect_p99")
        self.assertEqual(rounds.check(work, {"held": work.conns, "closed": work.conns}), [])
        self.assertEqual(len(rounds.check(work, {"held": work.conns - 1, "closed": work.conns - 2})), 2)

    def test_who_does_not_do_a_work_is_left_out(self):
        tls = next(work for work in works.WORKS if work.tls and work.with_floor)
        self.assertTrue(contender("floor").does(tls))
        self.assertFalse(contender("floor").does(replace(tls, with_floor=False)))
        self.assertFalse(replace(contender("Beast"), speaks_tls=False).does(tls))
        self.assertTrue(replace(contender("Beast"), speaks_tls=False).does(ECHO))


class Repeats(unittest.TestCase):
    def measure(self, reports, count: int = 1, retries: int = 2) -> rounds.Outcome:
        settings = rounds.Settings(Path("."), rounds=count, retries=retries, others_pct_max=5)
        with mock.patch.object(rounds, "_run", side_effect=reports), mock.patch("sys.stderr"):
            return rounds.measure([contender("floor")], ECHO, settings)

    def test_disturbed_round_is_repeated(self):
        outcome = self.measure([run(200, others=50), run(100, others=1)])
        self.assertEqual(outcome.median("floor"), 100)
        self.assertEqual(outcome.disturbed, 0)

    def test_least_disturbed_one_is_kept_and_counted(self):
        outcome = self.measure([run(200, others=50), run(100, others=9), run(300, others=20)])
        self.assertEqual(outcome.median("floor"), 100)
        self.assertEqual(outcome.disturbed, 1)

    def test_failed_run_is_repeated_once(self):
        failure = processes.RunFailed("it ended")
        self.assertEqual(self.measure([failure, run(100)]).median("floor"), 100)
        self.assertEqual(self.measure([failure, failure]).problems, [("floor", "it ended")])


class Works(unittest.TestCase):
    def test_ids_are_unique(self):
        ids = [work.id for work in works.WORKS]
        self.assertEqual(len(ids), len(set(ids)))

    def test_connections_fit_the_open_files_limit(self):
        self.assertEqual(works.within_descriptors(IDLE, 1024).conns, 824)
        self.assertEqual(works.within_descriptors(ECHO, 1024).conns, 100)

    def test_small_works_have_few_rooms(self):
        work = next(work for work in works.WORKS if work.id == "rooms-100x10")
        self.assertIn("10", works.small(work).load)
        self.assertNotIn("100", works.small(work).load)


if __name__ == "__main__":
    sys.exit(unittest.main())
