"""What is asked of each server."""

import dataclasses
import resource


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    client: dict  # options of the client, see client/load.hpp
    stretch: float = 1.0  # the run lasts so many times as long as others: what happens seldom has to happen
    open_loop: bool = True

    def obstacle(self):
        """Why it cannot be run here, or None."""
        needed = sum(self.client.get(key, default) for key, default in
                     (("connections", 60), ("heavy_connections", 4), ("idle_connections", 0))) + 200
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if allowed != resource.RLIM_INFINITY and allowed < needed:
            return f"it needs {needed} open files, and the hard limit is {allowed} (ulimit -Hn)"
        return None


def burn(rate):
    return Scenario(f"burn{rate // 1000}k", f"1 request in 1000 computes for 20 ms, {rate:,}/s",
                    {"rate": rate, "heavy": "H", "one_in": 1000})


def calm(rate):
    return Scenario(f"calm{rate // 1000}k", f"nobody is in the way, {rate:,}/s", {"rate": rate})


SCENARIOS = {scenario.name: scenario for scenario in (
    calm(5000),
    burn(5000),
    calm(20000),
    burn(20000),
    Scenario("block5k", "1 request in 10,000 blocks its thread for 200 ms, 5,000/s",
             {"rate": 5000, "heavy": "B", "one_in": 10000}, stretch=2.5),
    Scenario("mixed20k", "1 answer in 200 is 1 MiB, 20,000/s", {"rate": 20000, "heavy": "L", "one_in": 200}),
    Scenario("idle20k", "10,000 connections are idle, 100 are not, 20,000/s",
             {"rate": 20000, "connections": 100, "heavy_connections": 0, "idle_connections": 10000}),
    Scenario("closed64", "64 connections of 64 bytes, each sends when it has its answer",
             {"rate": 0, "connections": 64, "heavy_connections": 0}, open_loop=False),
)}
