#include <magpie/runtime/metrics.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace {

// Every member a different number, so that a mix-up shows.
magpie::worker_metrics numbered(std::uint64_t first) {
    return {.tasks_resumed = first,
            .steals_tried = first + 1,
            .steals_won = first + 2,
            .tasks_stolen = first + 3,
            .overflows = first + 4,
            .parks = first + 5,
            .wakeups = first + 6,
            .completions = first + 7,
            .timers_fired = first + 8,
            .budget_exhausted = first + 9,
            .rescues = first + 10,
            .completions_taken_over = first + 11,
            .timers_taken_over = first + 12,
            .kicks = first + 13,
            .tasks_placed = first + 14,
            .run_queue = first + 15,
            .fork_stack = first + 16,
            .pinned = first + 17,
            .timers = first + 18,
            .operations = first + 19};
}

// Reads the text format strictly: HELP, TYPE, then the samples of that family only. Gives sample -> value.
std::map<std::string, std::uint64_t> parse(std::string const& text) {
    std::map<std::string, std::uint64_t> samples;
    std::set<std::string> families;
    std::string family;
    std::string type;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        INFO(line);
        std::istringstream words(line);
        std::string first;
        words >> first;
        if (first == "#") {
            std::string keyword;
            std::string name;
            words >> keyword >> name;
            if (keyword == "HELP") {
                CHECK(families.insert(name).second);
                family = name;
                type.clear();
            } else {
                CHECK(keyword == "TYPE");
                CHECK(name == family);
                words >> type;
                CHECK((type == "counter" || type == "gauge"));
                CHECK((type == "counter") == name.ends_with("_total"));
            }
            continue;
        }
        CHECK(first.substr(0, first.find('{')) == family);
        CHECK_FALSE(type.empty());
        std::uint64_t value = 0;
        CHECK(static_cast<bool>(words >> value));
        CHECK(samples.emplace(first, value).second);
    }
    CHECK(text.ends_with('\n'));
    return samples;
}

}  // namespace

TEST_CASE("totals add up every number of every worker") {
    magpie::metrics m;
    CHECK(m.totals() == magpie::worker_metrics{});
    m.workers = {numbered(100), numbered(1000)};
    magpie::worker_metrics expected = numbered(1100);
    // numbered() adds its offsets once; the sum holds them twice.
    expected.steals_tried += 1;
    expected.steals_won += 2;
    expected.tasks_stolen += 3;
    expected.overflows += 4;
    expected.parks += 5;
    expected.wakeups += 6;
    expected.completions += 7;
    expected.timers_fired += 8;
    expected.budget_exhausted += 9;
    expected.rescues += 10;
    expected.completions_taken_over += 11;
    expected.timers_taken_over += 12;
    expected.kicks += 13;
    expected.tasks_placed += 14;
    expected.run_queue += 15;
    expected.fork_stack += 16;
    expected.pinned += 17;
    expected.timers += 18;
    expected.operations += 19;
    CHECK(m.totals() == expected);
}

TEST_CASE("the Prometheus text is valid and holds every number") {
    magpie::metrics m;
    m.workers = {numbered(100), numbered(200)};
    m.tasks_spawned = 1;
    m.tasks_live = 2;
    m.tasks_destroyed_unstarted = 3;
    m.inject_queue = 4;
    m.blocking_threads = 5;
    m.blocking_busy = 6;
    m.blocking_queue = 7;
    m.stalls = 8;
    m.longest_stall = std::chrono::microseconds(9);
    m.limits = {{.name = "a", .limit = 10, .in_flight = 11, .succeeded = 12, .failed = 13},
                {.name = "b-c_d", .limit = 20, .in_flight = 21, .succeeded = 22, .failed = 23}};
    auto const samples = parse(m.prometheus());
    CHECK(samples.size() == 10 + 20 * 2 + 4 * 2);
    CHECK(samples.at("magpie_workers") == 2);
    CHECK(samples.at("magpie_tasks_spawned_total") == 1);
    CHECK(samples.at("magpie_tasks_live") == 2);
    CHECK(samples.at("magpie_tasks_destroyed_unstarted_total") == 3);
    CHECK(samples.at("magpie_inject_queue_depth") == 4);
    CHECK(samples.at("magpie_blocking_threads") == 5);
    CHECK(samples.at("magpie_blocking_busy") == 6);
    CHECK(samples.at("magpie_blocking_queue_depth") == 7);
    CHECK(samples.at("magpie_tasks_resumed_total{worker=\"0\"}") == 100);
    CHECK(samples.at("magpie_tasks_resumed_total{worker=\"1\"}") == 200);
    CHECK(samples.at("magpie_steals_tried_total{worker=\"0\"}") == 101);
    CHECK(samples.at("magpie_steals_won_total{worker=\"0\"}") == 102);
    CHECK(samples.at("magpie_tasks_stolen_total{worker=\"0\"}") == 103);
    CHECK(samples.at("magpie_run_queue_overflows_total{worker=\"0\"}") == 104);
    CHECK(samples.at("magpie_parks_total{worker=\"0\"}") == 105);
    CHECK(samples.at("magpie_wakeups_total{worker=\"0\"}") == 106);
    CHECK(samples.at("magpie_completions_total{worker=\"0\"}") == 107);
    CHECK(samples.at("magpie_timers_fired_total{worker=\"0\"}") == 108);
    CHECK(samples.at("magpie_budget_exhausted_total{worker=\"0\"}") == 109);
    CHECK(samples.at("magpie_rescues_total{worker=\"0\"}") == 110);
    CHECK(samples.at("magpie_completions_taken_over_total{worker=\"0\"}") == 111);
    CHECK(samples.at("magpie_timers_taken_over_total{worker=\"0\"}") == 112);
    CHECK(samples.at("magpie_kicks_total{worker=\"0\"}") == 113);
    CHECK(samples.at("magpie_tasks_placed_total{worker=\"1\"}") == 214);
    CHECK(samples.at("magpie_run_queue_depth{worker=\"0\"}") == 115);
    CHECK(samples.at("magpie_fork_stack_depth{worker=\"0\"}") == 116);
    CHECK(samples.at("magpie_pinned_depth{worker=\"0\"}") == 117);
    CHECK(samples.at("magpie_timers{worker=\"1\"}") == 218);
    CHECK(samples.at("magpie_operations{worker=\"0\"}") == 119);
    CHECK(samples.at("magpie_limit{limit=\"a\"}") == 10);
    CHECK(samples.at("magpie_limit_in_flight{limit=\"a\"}") == 11);
    CHECK(samples.at("magpie_limit_succeeded_total{limit=\"a\"}") == 12);
    CHECK(samples.at("magpie_limit_failed_total{limit=\"b-c_d\"}") == 23);
    CHECK(samples.at("magpie_stalls_total") == 8);
    CHECK(samples.at("magpie_longest_stall_microseconds") == 9);
}

TEST_CASE("a runtime without workers still gives valid text") {
    CHECK(parse(magpie::metrics{}.prometheus()).size() == 10);
}
