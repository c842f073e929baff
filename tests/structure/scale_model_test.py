#!/usr/bin/env python3
"""The model of the scheduler: every task runs once, the same seed gives the same figures, and the rules it is about hold."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import scale_model  # noqa: E402


def small(workers, work, **more):
    return scale_model.simulate(workers, work, tasks=20, **more)


class Conservation(unittest.TestCase):
    def test_every_task_runs_once(self):
        for work in scale_model.WORKS:
            for workers in (1, 2, 8, 33):
                row = small(workers, work)  # leaves with an error if a task did not run, or ran twice
                self.assertGreaterEqual(row["tasks"], 16, (work, workers))
                self.assertGreater(row["efficiency"], 0, (work, workers))
                self.assertLessEqual(row["efficiency"], 1, (work, workers))

    def test_a_task_that_is_lost_or_run_twice_is_noticed(self):
        class Loses(scale_model.Model):
            def post(self, *arguments):
                super().post(*arguments)
                if self.made == 10:
                    self.inject.pop()

        class RunsTwice(scale_model.Model):
            def execute(self, w, task, now):
                super().execute(w, task, now)
                self.ran[task[0]] += task[0] == 7

        model = scale_model.Model
        for broken in (Loses, RunsTwice):
            scale_model.Model = broken
            try:
                with self.assertRaises(SystemExit, msg=broken.__name__):
                    small(8, "foreign")
            finally:
                scale_model.Model = model


class Determinism(unittest.TestCase):
    def test_the_seed_decides(self):
        for work in scale_model.WORKS:
            self.assertEqual(small(16, work, seed=3), small(16, work, seed=3), work)
        self.assertNotEqual(small(16, "echo", seed=3), small(16, "echo", seed=4))


class Rules(unittest.TestCase):
    def test_at_most_half_search_and_nobody_sleeps_beside_work(self):
        class Watched(scale_model.Model):
            def at(self, time, what, *arguments):
                states = [w.state for w in self.workers]
                assert states.count("searching") == self.searching, states
                assert states.count("parked") == len(self.parked), states
                super().at(time, what, *arguments)

            def run(self):
                super().run()
                assert len(self.parked) == len(self.workers), "somebody never came to rest"

        model, scale_model.Model = scale_model.Model, Watched
        try:
            for work in scale_model.WORKS:
                small(8, work)
        finally:
            scale_model.Model = model

    def test_the_way_up_is_one_wake_up_after_the_other(self):
        slow, fast = (small(64, "tree", wake_two=two) for two in (False, True))
        self.assertGreater(slow["half_started_us"], fast["half_started_us"])


if __name__ == "__main__":
    unittest.main()
