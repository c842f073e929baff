#include "bench_command.hpp"

#include "bench_cases.hpp"
#include "command_failure.hpp"
#include "file_limit.hpp"
#include "number_text.hpp"
#include "output.hpp"

#include <magpie/runtime/runtime.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace magpie::tools {

namespace {

struct bench_result {
    bench_case const* what = nullptr;
    double ns = 0;  // an operation, the median of the rounds
    std::optional<double> reference_ns{};
    std::string error{};  // why there is no figure
};

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

double ns_of_each(magpie::runtime& rt, bench_case::measurement measure, std::size_t operations) {
    return static_cast<double>(rt.block_on(measure(operations)).count()) / static_cast<double>(operations);
}

// The rounds of the two alternate, so that what else the machine does falls on both.
bench_result measure(magpie::runtime& rt, bench_case const& what, std::size_t rounds) {
    bench_result result{.what = &what};
    std::vector<double> own(rounds);
    std::vector<double> reference(rounds);
    try {
        for (std::size_t i = 0; i < rounds; ++i) {
            own[i] = ns_of_each(rt, what.measure, what.operations);
            if (what.measure_reference != nullptr) {
                reference[i] = ns_of_each(rt, what.measure_reference, what.reference_operations);
            }
        }
    } catch (std::exception const& error) {
        result.error = error.what();
        return result;
    }
    result.ns = median(std::move(own));
    if (what.measure_reference != nullptr) {
        result.reference_ns = median(std::move(reference));
    }
    return result;
}

std::string text_of(bench_result const& result) {
    std::string const name = fmt::format("  {:<6} {:<32}", result.what->group, result.what->name);
    if (!result.error.empty()) {
        return fmt::format("{} not measured: {}\n", name, result.error);
    }
    std::string line = fmt::format("{} {:>9} ns", name, three_digits(result.ns));
    if (result.reference_ns) {
        line += fmt::format("   {:>6} x {} ({} ns)", three_digits(result.ns / *result.reference_ns),
                            result.what->reference_name, three_digits(*result.reference_ns));
    }
    return line + "\n";
}

nlohmann::ordered_json json_of(bench_result const& result, std::size_t rounds) {
    auto json = nlohmann::ordered_json::object();
    json["group"] = result.what->group;
    json["name"] = result.what->name;
    if (!result.error.empty()) {
        json["error"] = result.error;
        return json;
    }
    json["ns_per_operation"] = result.ns;
    json["operations"] = result.what->operations;
    json["rounds"] = rounds;
    if (result.reference_ns) {
        json["reference"] = result.what->reference_name;
        json["reference_ns_per_operation"] = *result.reference_ns;
        json["ratio"] = result.ns / *result.reference_ns;
    }
    return json;
}

}  // namespace

int bench_command::run() {
    raise_file_limit();
    magpie::runtime rt(settings_of(runtime));
    if (!runtime.json) {
        print(fmt::format("{} loop{} on {}, the median of {} round{}, an operation each\n\n", rt.workers(),
                          rt.workers() == 1 ? "" : "s", rt.backend(), rounds, rounds == 1 ? "" : "s"));
    }
    auto results = nlohmann::ordered_json::array();
    bool failed = false;
    for (bench_case const& each : bench_cases()) {
        if (group != "all" && group != each.group) {
            continue;
        }
        bench_result const result = measure(rt, each, rounds);
        failed = failed || !result.error.empty();
        if (runtime.json) {
            results.push_back(json_of(result, rounds));
        } else {
            print(text_of(result));
        }
    }
    if (runtime.json) {
        auto json = nlohmann::ordered_json::object();
        json["backend"] = rt.backend();
        json["workers"] = rt.workers();
        json["results"] = std::move(results);
        print_json(json);
    }
    return failed ? exit_failed : exit_ok;
}

}  // namespace magpie::tools
