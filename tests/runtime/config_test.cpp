#include "config_support.hpp"

#include <magpie/runtime/config.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

using namespace config_support;
using namespace std::chrono_literals;

namespace {

std::string file_of_project(std::string const& path) {
    std::ifstream file(std::filesystem::path(MAGPIE_TESTS_PROJECT) / path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("in code a number is a fixed limit, and braces say more") {
    config c;
    c.limits["a"] = 8;
    CHECK(c.limits["a"] == magpie::limit_config{.initial = 8});
    c.limits["a"] = {.kind = magpie::limit_kind::gradient, .initial = 4, .max = 9};
    CHECK(c.limits["a"].max == 9);
    c.limits["a"] = std::size_t{5};
    CHECK(c.limits["a"] == magpie::limit_config{.initial = 5});
    CHECK_NOTHROW(c.validate());
    c.limits["a"] = -1;
    CHECK(refused([&] { c.validate(); }).key == "limits.a.initial");
    c.limits["a"] = std::uint64_t{1} << 40;
    CHECK(refused([&] { c.validate(); }).key == "limits.a.initial");
}

TEST_CASE("an adaptive limit starts between min and max") {
    CHECK(config::from_toml("[limits.x]\nkind = \"aimd\"\nmax = 32").limits.at("x").initial == 32);
    CHECK(config::from_toml("[limits.x]\nkind = \"aimd\"\nmin = 100").limits.at("x").initial == 100);
    CHECK(config::from_toml("[limits.x]\nkind = \"aimd\"").limits.at("x").initial == 64);
    auto const error = refused_text("[limits.x]\nkind = \"aimd\"\nmax = 32\ninitial = 33");
    CHECK(error.key == "limits.x.initial");
    CHECK(error.line == 4);
    CHECK(error.why == "is not between min and max: use a whole number from 1 to 32");
    CHECK(refused_text("[limits.x]\nkind = \"aimd\"\nmin = 5\nmax = 4").why ==
          "is more than max = 4: lower min or raise max");
}

TEST_CASE("code that set the start keeps it") {
    config c;
    c.limits["x"] = {.kind = magpie::limit_kind::aimd, .initial = 100, .max = 50};
    CHECK(refused([&] { apply(c); }).key == "limits.x.initial");
    CHECK(c.limits["x"].initial == 100);
}

TEST_CASE("a key that has no effect is refused") {
    auto const error = refused_text("[limits.x]\nmax = 9\n");
    CHECK(error.key == "limits.x.max");
    CHECK(error.line == 2);
    CHECK(error.why.starts_with("has no effect on a fixed limit"));
    CHECK(refused_text("[limits.x]\nkind = \"gradient\"\ntarget = \"1ms\"").key == "limits.x.target");
}

TEST_CASE("load reads the file, then the environment") {
    temp_file const file("[runtime]\nworkers = 4\nspin = \"1us\"\n");
    scoped_variable const variable("MAGPIE_RUNTIME_WORKERS", "3");
    auto const c = config::load(file.path);
    CHECK(c.workers == 3);
    CHECK(c.spin == 1us);
    CHECK(c.file() == file.path);
    CHECK(comes_from(c, "runtime.workers", "environment variable MAGPIE_RUNTIME_WORKERS"));
    CHECK(comes_from(c, "runtime.spin", file.path + ":3"));
}

TEST_CASE("a mistake in a file can be repaired by the environment, unless it is one of form") {
    temp_file const file("[io]\ncq_entries = 64\n");
    CHECK(refused([&] { (void)config::load(file.path); }).line == 2);
    scoped_variable const variable("MAGPIE_IO_RING_ENTRIES", "64");
    CHECK(config::load(file.path).io.cq_entries == 64);
}

TEST_CASE("a file that cannot be read") {
    auto const missing = refused([] { (void)config::load("/nonexistent/magpie.toml"); });
    CHECK(missing.file == "/nonexistent/magpie.toml");
    CHECK(missing.line == 0);
    CHECK(
        std::string(missing.what()) ==
        "/nonexistent/magpie.toml: cannot be read (No such file or directory): give the path of a readable TOML file");
    CHECK(refused([] { (void)config::load("/"); }).why.starts_with("cannot be read (Is a directory)"));
    CHECK(refused([] { (void)config::load(""); }).why.starts_with("cannot be read"));
    CHECK(refused([] { (void)config::load("/dev/zero"); }).why.starts_with("cannot be read (it is larger"));
}

TEST_CASE("defaults reads a file only if MAGPIE_CONFIG names one") {
    CHECK(config::defaults().file().empty());
    temp_file const file("[runtime]\nworkers = 4\n");
    scoped_variable const config_variable("MAGPIE_CONFIG", file.path);
    CHECK(config::defaults().workers == 4);
    scoped_variable const workers("MAGPIE_RUNTIME_WORKERS", "3");
    CHECK(config::defaults().workers == 3);
    scoped_variable const empty("MAGPIE_CONFIG", "");
    CHECK(config::defaults().file().empty());
    CHECK(config::defaults().workers == 3);
    scoped_variable const nowhere("MAGPIE_CONFIG", "/nonexistent");
    CHECK(refused([] { (void)config::defaults(); }).why.find("MAGPIE_CONFIG names it") != std::string::npos);
}

TEST_CASE("the defaults are valid, and a copy of a config is as good") {
    config const c;
    CHECK_NOTHROW(c.validate());
    config const copy = c;
    CHECK_NOTHROW(copy.validate());
}

TEST_CASE("a bad value set in code says so") {
    config c;
    c.workers = 5000;
    auto const error = refused([&] { c.validate(); });
    CHECK(error.file.empty());
    CHECK(error.variable.empty());
    CHECK(error.key == "runtime.workers");
    CHECK(std::string(error.what()) ==
          "config.workers = 5000 is not allowed: use \"auto\" or a whole number from 1 to 1024");
    c = {};
    c.spin = -3us;
    CHECK(refused([&] { c.validate(); }).value == "\"-3us\"");
    c = {};
    c.name = "much too long";
    CHECK(refused([&] { c.validate(); }).key == "runtime.name");
    c = {};
    c.io.ring_entries = 1000;
    CHECK(refused([&] { c.validate(); }).key == "io.ring_entries");
    c = {};
    c.io.backend = static_cast<magpie::io_backend>(9);
    CHECK(refused([&] { c.validate(); }).value == "9");
    c = {};
    c.limits["a b"] = 4;
    CHECK(refused([&] { c.validate(); }).why.starts_with("is not a usable name"));
}

TEST_CASE("the simulated clock and external drive have one worker, and exclude each other") {
    for (unsigned const workers : {0u, 1u}) {
        CHECK_NOTHROW(config{.workers = workers, .clock = magpie::clock_kind::simulated}.validate());
        CHECK_NOTHROW(config{.workers = workers, .drive = magpie::external}.validate());
    }
    CHECK(refused([] {
              config{.workers = 2, .clock = magpie::clock_kind::simulated}.validate();
          }).why.find("simulated clock") != std::string::npos);
    CHECK(refused([] { config{.workers = 2, .drive = magpie::external}.validate(); }).why.find("external drive") !=
          std::string::npos);
    CHECK(refused([] { config{.clock = magpie::clock_kind::simulated, .drive = magpie::external}.validate(); }).key ==
          "drive");
}

TEST_CASE("a contradiction points at the file if it stands there") {
    auto c = config::from_toml("[runtime]\n\nworkers = 4\n", "m.toml");
    c.clock = magpie::clock_kind::simulated;
    auto const error = refused([&] { c.validate(); });
    CHECK(error.file == "m.toml");
    CHECK(error.line == 3);
    CHECK(refused_text("[io]\nring_entries = 512\ncq_entries = 256").why ==
          "is less than io.ring_entries = 512: use a power of two from 512 to 65536");
}

TEST_CASE("each value comes with where it came from") {
    auto c =
        config::from_toml("[runtime]\nworkers = 4\nspin = \"1us\"\n[limits.up]\nkind = \"aimd\"\nmax = 9\n", "m.toml");
    apply(c, "MAGPIE_RUNTIME_PIN=true");
    c.steal = false;
    c.spin = 2us;
    c.clock = magpie::clock_kind::simulated;
    c.hooks.on_stall = [](auto const&) {};
    c.limits["own"] = 3;
    CHECK(comes_from(c, "runtime.workers", "m.toml:2"));
    CHECK(comes_from(c, "runtime.pin", "environment variable MAGPIE_RUNTIME_PIN"));
    CHECK(comes_from(c, "runtime.steal", "code"));
    CHECK(comes_from(c, "runtime.spin", "code"));
    CHECK(explained(c, "runtime.spin").find("= \"2us\"") != std::string::npos);
    CHECK(comes_from(c, "runtime.rescue", "default"));
    CHECK(comes_from(c, "clock", "code"));
    CHECK(comes_from(c, "hooks.on_stall", "code"));
    CHECK(comes_from(c, "hooks.on_unhandled", "default"));
    CHECK(comes_from(c, "limits.up.kind", "m.toml:5"));
    CHECK(comes_from(c, "limits.up.max", "m.toml:6"));
    CHECK(comes_from(c, "limits.up.initial", "default"));
    CHECK(comes_from(c, "limits.up.min", "default"));
    CHECK(comes_from(c, "limits.own.initial", "code"));
    CHECK(explained(c, "limits.own.max").empty());
    c.spin = 1us;
    CHECK(comes_from(c, "runtime.spin", "m.toml:3"));
}

TEST_CASE("automatic workers are told as a number with its reason") {
    CHECK(explained(config{}, "runtime.workers").find("affinity mask") != std::string::npos);
}

TEST_CASE("what explain prints can be loaded, with the same effect") {
    auto c = config::from_toml(
        "[runtime]\nspin = \"off\"\nframe_cache = 70000\n[limits.x]\nkind = \"aimd\"\ntarget = 1500\n");
    c.limits["y"] = 3;
    c.io.backend = magpie::io_backend::poll;
    auto const again = config::from_toml(c.explain());
    CHECK(again.spin == c.spin);
    CHECK(again.frame_cache == 70'000);
    CHECK(again.io.backend == magpie::io_backend::poll);
    CHECK(again.limits == c.limits);
}

TEST_CASE("effective_workers says how many and why") {
    config c;
    CHECK(effective_workers(c).count >= 1);
    CHECK_FALSE(effective_workers(c).source.empty());
    c.workers = 3;
    CHECK(effective_workers(c).count == 3);
    CHECK(effective_workers(c).source == "set in code");
    CHECK(effective_workers(config::from_toml("[runtime]\nworkers = 3\n", "m.toml")).source == "m.toml:2");
    apply(c, "MAGPIE_RUNTIME_WORKERS=5");
    CHECK(effective_workers(c).source == "environment variable MAGPIE_RUNTIME_WORKERS");
    CHECK(effective_workers(config{.clock = magpie::clock_kind::simulated}).count == 1);
    CHECK(effective_workers(config{.drive = magpie::external}).count == 1);
}

TEST_CASE("the example file holds the defaults, and is the one in the repository") {
    auto const example = config::example_toml();
    auto c = config::from_toml(example, "magpie.toml");
    config const standard;
    std::istringstream lines(c.explain());
    std::istringstream expected(standard.explain());
    for (std::string line, plain; std::getline(lines, line) && std::getline(expected, plain);) {
        CHECK(line.substr(0, line.rfind('#')) == plain.substr(0, plain.rfind('#')));
    }
    CHECK(file_of_project("examples/magpie.toml") == example);
}

TEST_CASE("the documentation holds the reference tables as they are") {
    CHECK(file_of_project("docs/configuration.md").find(config::reference()) != std::string::npos);
}
