#include "config_support.hpp"

#include <magpie/runtime/config.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using namespace config_support;
using namespace std::chrono_literals;

TEST_CASE("every section and every way to write it") {
    auto const c = config::from_toml(R"(
        io.backend = "poll"
        [runtime]
        workers = 4
        pin = true
        steal = false
        stall_threshold = "2ms"
        spin = 20
        frame_cache = "64KiB"
        name = "web"
        seed = 7
        [io.buffer_ring]
        size = 4096
        count = 64
        [limits]
        upstream = 64
        [limits.adaptive]
        kind = "aimd"
        min = 2
        max = 32
        initial = 4
        target = "5ms"
    )");
    CHECK(c.workers == 4);
    CHECK(c.pin);
    CHECK_FALSE(c.steal);
    CHECK(c.stall_threshold == 2ms);
    CHECK(c.spin == 20us);
    CHECK(c.frame_cache == 65'536);
    CHECK(c.name == "web");
    CHECK(c.seed == 7);
    CHECK(c.io.backend == magpie::io_backend::poll);
    CHECK(c.io.buffer_ring.size == 4096);
    CHECK(c.io.buffer_ring.count == 64);
    CHECK(c.limits.at("upstream").kind == magpie::limit_kind::fixed);
    CHECK(c.limits.at("upstream").initial == 64);
    CHECK(c.limits.at("adaptive").kind == magpie::limit_kind::aimd);
    CHECK(c.limits.at("adaptive").initial == 4);
    CHECK(c.limits.at("adaptive").target == 5ms);
    CHECK(c.rescue);
    CHECK(c.event_interval == 61);
}

TEST_CASE("an inline table is a section too, and an empty file sets nothing") {
    CHECK(config::from_toml("[io]\nbuffer_ring = { size = 1024, count = 8 }").io.buffer_ring.size == 1024);
    CHECK(config::from_toml("").workers == 0);
    CHECK(config::from_toml("[runtime]\nworkers = \"auto\"\nspin = \"off\"").spin == 0ns);
}

TEST_CASE("the environment has no say in from_toml") {
    scoped_variable const variable("MAGPIE_RUNTIME_WORKERS", "3");
    CHECK(config::from_toml("").workers == 0);
}

TEST_CASE("a bad value: file, line, column, key, value, what is allowed, all in one sentence") {
    auto const error = refused_text("# first\n[runtime]\nworkers = \"lots\"  # many\n");
    CHECK(error.file == "m.toml");
    CHECK(error.line == 3);
    CHECK(error.column == 11);
    CHECK(error.key == "runtime.workers");
    CHECK(error.value == "\"lots\"");
    CHECK(error.why == "is not allowed: use \"auto\" or a whole number from 1 to 1024");
    CHECK(std::string(error.what()) ==
          "m.toml:3:11: runtime.workers = \"lots\" is not allowed: use \"auto\" or a whole number from 1 to 1024");
}

TEST_CASE("wrong types and ranges are refused where they stand") {
    struct {
        char const* text;
        char const* key;
        char const* value;
        int column;
    } const cases[] = {
        {"[runtime]\nworkers = true", "runtime.workers", "true", 11},
        {"[runtime]\nworkers = 4.0", "runtime.workers", "4.0", 11},
        {"[runtime]\nworkers = -1", "runtime.workers", "-1", 11},
        {"[runtime]\nworkers = \"4\"", "runtime.workers", "\"4\"", 11},
        {"[runtime]\nworkers = 1_025", "runtime.workers", "1_025", 11},
        {"[runtime]\npin = 1", "runtime.pin", "1", 7},
        {"[runtime]\npin = \"true\"", "runtime.pin", "\"true\"", 7},
        {"[runtime]\nspin = 2020-01-01", "runtime.spin", "2020-01-01", 8},
        {"[runtime]\nspin = [1, 2]", "runtime.spin", "[1, 2]", 8},
        {"[runtime]\nspin = { a = 1 }", "runtime.spin", "{…}", 8},
        {"[runtime]\nspin = 0.5", "runtime.spin", "0.5", 8},
        {"[runtime]\nname = \"\"", "runtime.name", "\"\"", 8},
        {"[runtime]\nname = \"\u00e9\"  # \u00e9", "runtime.name", "\"\u00e9\"", 8},
        {"[io]\nbackend = \"epoll\"", "io.backend", "\"epoll\"", 11},
        {"[io]\nring_entries = 100", "io.ring_entries", "100", 16},
        {"[io]\nbuffer_ring = 3", "io.buffer_ring", "3", 15},
        {"[limits]\nup = 0", "limits.up", "0", 6},
        {"[limits]\nup = \"64\"", "limits.up", "\"64\"", 6},
        {"[limits.up]\ninitial = 1000001", "limits.up.initial", "1000001", 11},
    };
    for (auto const& c : cases) {
        INFO(c.text);
        auto const error = refused_text(c.text);
        CHECK(error.key == c.key);
        CHECK(error.value == c.value);
        CHECK(error.line == 2);
        CHECK(error.column == c.column);
        CHECK(error.why.starts_with("is not allowed: "));
    }
    CHECK(refused_text("runtime = 3").why == "is not allowed: runtime is a section, written [runtime]");
    CHECK(refused_text("limits = 3").why == "is not allowed: limits is a section, written [limits]");
}

TEST_CASE("a long or many-lined value is cut short in the message") {
    CHECK(refused_text("[runtime]\nname = [1,\n2]").value == "[1,…");
    CHECK(refused_text("[runtime]\nname = \"" + std::string(100, 'x') + "\"").value ==
          "\"" + std::string(59, 'x') + "…");
    CHECK(refused_text("[runtime]\nname = \"\"\"\n\"\"\"").value == "\"\"\"…");
}

TEST_CASE("an unknown key: where it stands, what was meant, what there is") {
    auto const error = refused_text("[runtime]\npin = true\n  wrokers = 4\n");
    CHECK(error.line == 3);
    CHECK(error.column == 3);
    CHECK(error.key == "runtime.wrokers");
    CHECK(error.value.empty());
    CHECK(error.why.starts_with(
        "is not a known key: did you mean runtime.workers? Section [runtime] has workers, pin, "));
    CHECK(refused_text("[runtime]\nbackend = 1").why.starts_with("is not a known key: did you mean io.backend?"));
    CHECK(refused_text("[io]\nxyzzy = 1").why.starts_with("is not a known key: Section [io] has backend, "));
    CHECK(refused_text("[io.buffer_ring]\nsizes = 1").why ==
          "is not a known key: did you mean io.buffer_ring.size? Section [io.buffer_ring] has size, count");
    CHECK(refused_text("[limits.up]\nmaximum = 1").why ==
          "is not a known key: A limit has kind, initial, min, max, target");
    CHECK(refused_text("[limits.up]\nmx = 1").why ==
          "is not a known key: did you mean max? A limit has kind, initial, min, max, target");
    CHECK(refused_text("[runtim]").why ==
          "is not a known section: did you mean runtime? There are [runtime], [io] and [limits]");
    CHECK(refused_text("workers = 4").why ==
          "stands outside of any section: did you mean runtime.workers? There are [runtime], [io] and [limits]");
    CHECK(refused_text("xyzzy = 4").why ==
          "stands outside of any section: There are [runtime], [io] and [limits]");
    CHECK(refused_text("[limits]\n\"a b\" = 1").key == "limits.a b");
}

TEST_CASE("what is for code only is not set in a file") {
    CHECK(refused_text("[runtime]\nclock = \"simulated\"").why == "cannot be set in a file: set config.clock in code");
    CHECK(refused_text("handle_sigint = false").why == "cannot be set in a file: set config.handle_sigint in code");
}

TEST_CASE("of several mistakes the first in the file is reported") {
    CHECK(refused_text("[runtime]\nworkers = -1\nname = 3\n").key == "runtime.workers");
    CHECK(refused_text("[runtime]\nname = 3\nworkers = -1\n").key == "runtime.name");
    CHECK(refused_text("[limits]\nz = 0\na = 0\n").key == "limits.z");
}

TEST_CASE("text that is no TOML") {
    auto const error = refused_text("[runtime]\nworkers 4\n");
    CHECK(error.file == "m.toml");
    CHECK(error.line == 2);
    CHECK(error.column == 9);
    CHECK(std::string(error.what()).starts_with("m.toml:2:9: is not valid TOML: in key-value pair: expected '='"));
    CHECK(refused_text("[runtime]\nworkers = 1\nworkers = 2\n").line == 3);
    CHECK(refused_text("\xff\xfe").line == 1);
}

TEST_CASE("a damaged file is a valid one or a config_error, and nothing else") {
    auto const whole = config::example_toml() + "y = 3\n[limits.x]\nkind = \"aimd\"\n";
    constexpr std::string_view bytes = "\"'[]{}=.,# \n\t\\0aZ_-\xc3\xa9\xff";
    std::minstd_rand random(1);
    auto const below = [&](std::size_t n) { return random() % n; };
    int refusals = 0;
    for (int round = 0; round < 500; ++round) {
        auto text = whole;
        for (auto cuts = 1 + below(3); cuts > 0; --cuts) {
            auto const at = below(text.size());
            switch (below(3)) {
            case 0:
                text.erase(at, 1 + below(40));
                break;
            case 1:
                text.insert(at, 1, bytes[below(bytes.size())]);
                break;
            default:
                text.insert(at, text.substr(below(text.size()), 20));
                break;
            }
        }
        try {
            (void)config::from_toml(text);
        } catch (config_error const& error) {
            ++refusals;
            CHECK(error.line > 0);
        }
    }
    CHECK(refusals > 50);
    CHECK(refusals < 450);
}
