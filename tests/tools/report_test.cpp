#include "magpie/report.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <string>

using namespace magpie::tools;
using namespace std::chrono_literals;

namespace {

load_report make_report() {
    load_report report;
    report.title = "magpie load http://127.0.0.1:8080/";
    for (int i = 0; i < 99998; ++i) {
        report.add_success();
    }
    report.add_failure("connection refused");
    report.add_failure("wrong status");
    report.duration = 2s;
    report.bytes_received = 20 * 1024 * 1024;
    report.latency = {
        .min = 10us, .mean = 123456ns, .p50 = 100us, .p90 = 200us, .p99 = 1ms, .p99_9 = 12ms, .max = 20ms};
    report.workers = {{.worker = 0,
                       .requests = 50123,
                       .tasks_resumed = 200000,
                       .steals_tried = 9,
                       .steals_won = 4,
                       .completions = 150000,
                       .timers = 3,
                       .wake_ups = 17,
                       .parks = 21},
                      {.worker = 1, .requests = 49875}};
    return report;
}

}  // namespace

TEST_CASE("report: failures are the sum of the errors and count as requests") {
    load_report report;
    report.add_success();
    report.add_failure("timeout");
    report.add_failure("timeout");
    report.add_failure("connection reset");
    CHECK(report.requests == 4);
    CHECK(report.failures == 3);
    CHECK(report.errors.at("timeout") == 2);
    CHECK(report.errors.at("connection reset") == 1);
}

TEST_CASE("report: a spare worker that was first lent between two snapshots has done all of its work since then") {
    magpie::metrics before;
    before.workers.resize(2);
    before.workers[1].tasks_resumed = 5;
    magpie::metrics after;
    after.workers.resize(3);
    after.workers[1].tasks_resumed = 7;
    after.workers[2].tasks_resumed = 3;
    auto const work = work_between(before, after);
    REQUIRE(work.size() == 3);
    CHECK(work[1].tasks_resumed == 2);
    CHECK(work[2].tasks_resumed == 3);
}

TEST_CASE("report: only what ended well is throughput") {
    load_report report = make_report();
    CHECK(report.throughput() == 49999.0);
    report.duration = {};
    CHECK(report.throughput() == 0.0);
}

TEST_CASE("report: JSON has the agreed keys, and numbers that are numbers") {
    auto const json = make_report().to_json();
    CHECK(json.at("requests") == 100000);
    CHECK(json.at("failures").is_number_unsigned());
    CHECK(json.at("failures") == 2);
    CHECK(json.at("errors").size() == 2);
    CHECK(json.at("errors").at("connection refused") == 1);
    CHECK(json.at("throughput") == 49999.0);
    CHECK(json.at("duration_s") == 2.0);
    CHECK(json.at("bytes_received") == 20971520);
    CHECK(json.at("interrupted") == false);
    auto const& latency = json.at("latency_us");
    CHECK(latency.at("min") == 10.0);
    CHECK(latency.at("mean") == doctest::Approx(123.456));
    CHECK(latency.at("p50") == 100.0);
    CHECK(latency.at("p90") == 200.0);
    CHECK(latency.at("p99") == 1000.0);
    CHECK(latency.at("p99.9") == 12000.0);
    CHECK(latency.at("max") == 20000.0);
    auto const& workers = json.at("workers");
    REQUIRE(workers.is_array());
    REQUIRE(workers.size() == 2);
    CHECK(workers[0] == nlohmann::ordered_json::parse(R"({"worker": 0, "requests": 50123, "tasks_resumed": 200000,
        "steals_tried": 9, "steals_won": 4, "completions": 150000, "timers": 3, "wake_ups": 17, "parks": 21})"));
    CHECK(workers[1].at("worker") == 1);
    CHECK(nlohmann::ordered_json::parse(json.dump(2)) == json);
}

TEST_CASE("report: JSON of an empty run") {
    auto const json = load_report{}.to_json();
    CHECK(json.at("requests") == 0);
    CHECK(json.at("errors").is_object());
    CHECK(json.at("errors").empty());
    CHECK(json.at("throughput") == 0.0);
    CHECK(json.at("workers").is_array());
    CHECK(json.at("workers").empty());
}

TEST_CASE("report: text, word for word") {
    CHECK(
        make_report().to_text() ==
        "magpie load http://127.0.0.1:8080/\n"
        "\n"
        "  requests           100,000   in 2.00 s\n"
        "  throughput          49,999   a second   10.0 MiB/s\n"
        "  failures                 2\n"
        "                           1   connection refused\n"
        "                           1   wrong status\n"
        "\n"
        "  latency           min        mean         p50         p90         p99       p99.9         max\n"
        "                10.0 µs      123 µs      100 µs      200 µs     1.00 ms     12.0 ms     20.0 ms\n"
        "\n"
        "  worker       requests     resumed      steals         won completions      timers    wake-ups       parks\n"
        "  0              50,123     200,000           9           4     150,000           3          17          21\n"
        "  1              49,875           0           0           0           0           0           0           0\n");
}

TEST_CASE("report: a named limit, where it was at the end") {
    auto report = make_report();
    CHECK_FALSE(report.to_json().contains("limit"));
    report.limit = magpie::limit_metrics{.name = "upstream", .limit = 1234};
    CHECK(report.to_json().at("limit").dump() == R"({"name":"upstream","at_end":1234})");
    CHECK(report.to_text().find("  limit                1,234   at the end (upstream)\n") != std::string::npos);
}

TEST_CASE("report: text of a run that was interrupted before anything happened") {
    load_report report;
    report.interrupted = true;
    std::string const text = report.to_text();
    CHECK(text.starts_with("  requests                 0   in 0 s (interrupted)\n"));
    CHECK(text.find("worker") == std::string::npos);
}

TEST_CASE("report: the summary of a histogram") {
    histogram latencies;
    for (int i = 1; i <= 1000; ++i) {
        latencies.record(std::chrono::nanoseconds(i < 1000 ? 100 : 120));
    }
    auto const summary = summarize(latencies);
    CHECK(summary.min == 100ns);
    CHECK(summary.mean == 100ns);
    CHECK(summary.p50 == 100ns);
    CHECK(summary.p90 == 100ns);
    CHECK(summary.p99 == 100ns);
    CHECK(summary.p99_9 == 100ns);
    CHECK(summary.max == 120ns);
}
