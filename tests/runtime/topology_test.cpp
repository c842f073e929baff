#include <magpie/runtime/scheduler/topology.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <runtime/support/fake_root.hpp>
#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::detail;
using magpie::tests::fake_root;
using numbers = std::vector<unsigned>;
using node_numbers = std::vector<std::uint16_t>;

config bound(unsigned workers) {
    config c = tests::threads(workers);
    c.pin = true;
    return c;
}

TEST_CASE("topology: the kernel's lists of CPUs") {
    CHECK(parse_cpu_list("0-3,8,10-11\n") == numbers{0, 1, 2, 3, 8, 10, 11});
    CHECK(parse_cpu_list("7") == numbers{7});
    CHECK(parse_cpu_list("").empty());
    CHECK(parse_cpu_list("\n").empty());
    CHECK(parse_cpu_list("1,two,3") == numbers{1});
    CHECK(parse_cpu_list("3-1").empty());
    CHECK(parse_cpu_list("0-4000000000").empty());
    CHECK(parse_cpu_list("2,") == numbers{2});
}

TEST_CASE("topology: nothing to be read is one node") {
    fake_root const root;
    auto const found = topology::read(root.path());
    CHECK(found.nodes() == 1);
    CHECK(found.node_of(0) == 0);
    CHECK(found.node_of(5000) == 0);
}

TEST_CASE("topology: nodes in the kernel's order, without gaps and without those that have no CPU") {
    fake_root root;
    root.node(10, "4-5");
    root.node(0, "0-1,8");
    root.node(2, "");  // memory only
    root.node(3, "2-3");
    root.file("/sys/devices/system/node/possible", "0-10\n");
    root.file("/sys/devices/system/node/node4x/cpulist", "6\n");
    auto const found = topology::read(root.path());
    CHECK(found.nodes() == 3);
    numbers nodes;
    for (unsigned cpu = 0; cpu < 10; ++cpu) {
        nodes.push_back(found.node_of(cpu));
    }
    CHECK(nodes == numbers{0, 0, 1, 1, 2, 2, 0, 0, 0, 0});
}

TEST_CASE("topology: this machine has a node for each CPU that we may use") {
    auto const found = topology::read();
    CHECK(found.nodes() >= 1);
    CHECK(numa_nodes() == found.nodes());
    auto const cpus = allowed_cpus();
    REQUIRE_FALSE(cpus.empty());
    for (unsigned const cpu : cpus) {
        CHECK(found.node_of(cpu) < found.nodes());
    }
}

TEST_CASE("topology: a bound worker has the node of its CPU") {
    fake_root root;
    root.node(0, "0-1");
    root.node(1, "2-3");
    numbers const allowed{0, 2, 3};
    auto const places = place_workers(bound(5), allowed, root.path());
    CHECK(places.count == 5);
    CHECK(places.cpus == numbers{0, 2, 3, 0, 2});
    CHECK(places.nodes == node_numbers{0, 1, 1, 0, 1});
    CHECK(places.where.node_of(3) == 1);
}

TEST_CASE("topology: nobody has a node if he is not bound, or if all are in the same") {
    fake_root root;
    root.node(0, "0-1");
    root.node(1, "2-3");
    CHECK(place_workers(tests::threads(4), numbers{0, 1, 2, 3}, root.path()).cpus.empty());
    CHECK(place_workers(tests::threads(4), numbers{0, 1, 2, 3}, root.path()).nodes.empty());
    CHECK(place_workers(bound(4), numbers{2, 3}, root.path()).cpus == numbers{2, 3, 2, 3});
    CHECK(place_workers(bound(4), numbers{2, 3}, root.path()).nodes.empty());
    CHECK(place_workers(bound(1), numbers{0, 1, 2, 3}, root.path()).nodes.empty());
    CHECK(place_workers(bound(4), {}, root.path()).cpus.empty());
}

}  // namespace
