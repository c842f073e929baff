#include "config_support.hpp"

#include <magpie/runtime/config.hpp>
#include <magpie/runtime/detail/named_limits.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/limit_slot.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <runtime/support/kit.hpp>

using namespace config_support;
using namespace magpie;
using namespace magpie::tests;

namespace {

using names = std::vector<std::string>;

void rewrite(temp_file const& file, std::string const& text) {
    std::ofstream(file.path, std::ios::trunc) << text;
}

// Stands for what combinators/ makes: remembers what it was told.
class told_limits final : public detail::named_limits {
public:
    explicit told_limits(detail::limit_settings const& settings) : now(settings) {}
    static std::unique_ptr<detail::named_limits> make(detail::limit_settings const& settings) {
        return std::make_unique<told_limits>(settings);
    }
    void apply(detail::limit_settings const& settings) override {
        for (auto const& [name, limit] : settings) {
            now[name] = limit;
            told.push_back(name);
        }
    }
    std::vector<limit_metrics> look() const override { return std::vector<limit_metrics>(now.size()); }

    detail::limit_settings now;
    names told;
};

told_limits& told() {
    return static_cast<told_limits&>(*detail::current_named_limits(&told_limits::make));
}

}  // namespace

TEST_CASE("reload() reads the file again: limits change at once, the other keys are reported") {
    temp_file const file("[runtime]\nspin = \"10us\"\n[limits]\na = 3\nb = 4\n");
    runtime rt(config::load(file.path));
    auto const begin = [&]() -> task<> {
        CHECK(told().now.at("a").initial == 3);
        co_return;
    };
    rt.block_on(begin());
    rewrite(file, "[runtime]\nspin = \"20us\"\n[limits]\na = 5\nc = 6\n");
    auto const report = rt.reload();
    CHECK(report.limits == names{"a", "c"});
    CHECK(report.needs_restart == names{"runtime.spin"});
    auto const after = [&]() -> task<> {
        CHECK(told().told == names{"a", "c"});
        CHECK(told().now.at("a").initial == 5);
        CHECK(told().now.at("b").initial == 4);
        co_return;
    };
    rt.block_on(after());
    CHECK(rt.reload().limits.empty());
    CHECK(rt.settings().limits.at("a").initial == 3);
}

TEST_CASE("a file with a mistake changes nothing, and says where it is") {
    temp_file const file("[limits]\na = 3\nb = 4\n");
    runtime rt(config::load(file.path));
    rewrite(file, "[limits]\na = 5\nb = 0\n");
    auto const error = refused([&] { rt.reload(); });
    CHECK(error.line == 3);
    CHECK(error.key == "limits.b");
    rewrite(file, "[limits]\na = 5\nb = 4\n");
    CHECK(rt.reload().limits == names{"a"});
}

TEST_CASE("what code had set stays, key by key, and the environment still beats the file") {
    temp_file const file("[limits.a]\nkind = \"aimd\"\nmin = 2\n[limits]\nb = 4\nc = 5\n");
    scoped_variable const variable("MAGPIE_LIMITS_C", "7");
    config c = config::load(file.path);
    c.limits["a"].max = 300;
    c.limits["b"] = 9;
    c.limits["own"] = 64;
    c.workers = 1;
    runtime rt(c);
    rewrite(file, "[runtime]\nworkers = 2\n[limits.a]\nkind = \"aimd\"\nmin = 3\nmax = 400\n[limits]\nb = 5\nc = 6\n"
                  "own = 8\n");
    auto const report = rt.reload();
    CHECK(report.limits == names{"a"});
    CHECK(report.needs_restart.empty());
    auto const look = [&]() -> task<> {
        CHECK(told().now.at("a").min == 3);
        CHECK(told().now.at("a").max == 300);
        CHECK(told().now.at("b").initial == 9);
        CHECK(told().now.at("c").initial == 7);
        CHECK(told().now.at("own").initial == 64);
        co_return;
    };
    rt.block_on(look());
}

TEST_CASE("reload() without a file is a mistake with a remedy; settings in hand are as good") {
    runtime rt(simulated());
    CHECK_THROWS_WITH_AS(rt.reload(), doctest::Contains("config::load()"), usage_error);
    config c = simulated();
    c.limits["a"] = 0;
    CHECK(refused([&] { rt.reload(c); }).key == "limits.a.initial");
    c.limits["a"] = 2;
    c.seed = 3;
    auto const report = rt.reload(c);
    CHECK(report.limits == names{"a"});
    CHECK(report.needs_restart == names{"runtime.seed"});
}

TEST_CASE("a file that is gone is an error, and the runtime goes on") {
    auto file = std::make_unique<temp_file>("[limits]\na = 3\n");
    runtime rt(config::load(file->path));
    file.reset();
    CHECK(refused([&] { rt.reload(); }).why.starts_with("cannot be read"));
    auto const body = []() -> task<int> { co_return 1; };
    CHECK(rt.block_on(body()) == 1);
}

TEST_CASE("there are no named limits on a thread that is no worker") {
    CHECK(detail::current_named_limits(&told_limits::make) == nullptr);
}

TEST_CASE("whoever asks first makes them, once, from what was set last") {
    detail::limit_settings settings;
    settings["a"] = 1;
    detail::limit_slot slot(settings);
    CHECK(slot.look().empty());
    settings["a"] = 2;
    CHECK(slot.apply(settings) == names{"a"});
    CHECK(slot.apply(settings).empty());
    auto& made = static_cast<told_limits&>(slot.get(&told_limits::make));
    CHECK(made.now.at("a").initial == 2);
    CHECK(&slot.get(&told_limits::make) == &made);
    CHECK(slot.look().size() == 1);
    settings["b"] = 3;
    CHECK(slot.apply(settings) == names{"b"});
    CHECK(made.told == names{"b"});
}
