#include "config_support.hpp"

#include <magpie/runtime/config.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace config_support;
using namespace std::chrono_literals;

TEST_CASE("variables override what was loaded") {
    auto c = config::from_toml("[runtime]\nworkers = 4\npin = true\n[limits]\nup = 3\n");
    apply(c, "MAGPIE_RUNTIME_WORKERS=2", "MAGPIE_IO_BACKEND=poll", "MAGPIE_IO_BUFFER_RING_SIZE=1KiB",
          "MAGPIE_RUNTIME_SPIN=7us", "MAGPIE_LIMITS_UP=64");
    CHECK(c.workers == 2);
    CHECK(c.pin);
    CHECK(c.io.backend == magpie::io_backend::poll);
    CHECK(c.io.buffer_ring.size == 1024);
    CHECK(c.spin == 7us);
    CHECK(c.limits.at("up").initial == 64);
}

TEST_CASE("limits: the number, their keys, and names in any case") {
    auto c = config::from_toml("[limits.Up-stream]\nkind = \"aimd\"\nmax = 100\n[limits]\na_max = 1\n");
    apply(c, "MAGPIE_LIMITS_UP_STREAM_MAX=50", "MAGPIE_LIMITS_NEW=7", "MAGPIE_LIMITS_A_MAX=2",
          "MAGPIE_LIMITS_OTHER_KIND=gradient", "MAGPIE_LIMITS_OTHER_MIN=3");
    CHECK(c.limits.size() == 4);
    CHECK(c.limits.at("Up-stream").max == 50);
    CHECK(c.limits.at("Up-stream").initial == 50);
    CHECK(c.limits.at("new").initial == 7);
    CHECK(c.limits.at("a_max").initial == 2);
    CHECK(c.limits.at("other").kind == magpie::limit_kind::gradient);
    CHECK(c.limits.at("other").min == 3);
}

TEST_CASE("a number makes an adaptive limit a fixed one, before its other variables apply") {
    auto c = config::from_toml("[limits.up]\nkind = \"aimd\"\nmax = 100\nmin = 1\n");
    auto copy = c;
    apply(c, "MAGPIE_LIMITS_UP=7");
    CHECK(c.limits.at("up") == magpie::limit_config{.initial = 7});
    apply(copy, "MAGPIE_LIMITS_UP_KIND=aimd", "MAGPIE_LIMITS_UP=7");
    CHECK(copy.limits.at("up").kind == magpie::limit_kind::aimd);
    CHECK(copy.limits.at("up").max == 1024);
}

TEST_CASE("a bad value names the variable") {
    auto const error = refused_variable("MAGPIE_RUNTIME_WORKERS=lots");
    CHECK(error.file.empty());
    CHECK(error.line == 0);
    CHECK(error.variable == "MAGPIE_RUNTIME_WORKERS");
    CHECK(error.key == "runtime.workers");
    CHECK(error.value == "lots");
    CHECK(std::string(error.what()) ==
          "environment variable MAGPIE_RUNTIME_WORKERS=lots is not allowed: use \"auto\" or a whole number from 1 to "
          "1024");
    CHECK(refused_variable("MAGPIE_LIMITS_UP=0").key == "limits.up");
    CHECK(refused_variable("MAGPIE_LIMITS_UP_KIND=fast").key == "limits.up.kind");
    CHECK(refused_variable("MAGPIE_LIMITS_UP_MAX=5").why.starts_with("has no effect"));
}

TEST_CASE("a misspelt variable is an error, others are not ours") {
    auto const error = refused_variable("MAGPIE_RUNTIME_WROKERS=4");
    CHECK(error.variable == "MAGPIE_RUNTIME_WROKERS");
    CHECK(
        error.why.starts_with("is not known: did you mean MAGPIE_RUNTIME_WORKERS? There are MAGPIE_RUNTIME_WORKERS, "));
    CHECK(error.why.find("MAGPIE_IO_") == std::string::npos);
    CHECK(refused_variable("MAGPIE_IO_URING=1").why.starts_with("is not known: There are MAGPIE_IO_BACKEND, "));
    CHECK(refused_variable("MAGPIE_RUNTIME_CLOCK=simulated").why.starts_with("is not known"));
    CHECK(refused_variable("MAGPIE_LIMITS_=4").why.starts_with("is not known"));
    config c;
    apply(c, "MAGPIE_CONFIG=/nowhere", "MAGPIE_SEED=4", "MAGPIE_SOAK_SECONDS=1", "MAGPIE_PROGRAM=x", "MAGPIE=1",
          "PATH=/bin", "novalue");
    CHECK_FALSE(c.explain().find("environment") != std::string::npos);
}

TEST_CASE("an empty variable is as good as none, and the first of two wins") {
    config c;
    apply(c, "MAGPIE_RUNTIME_WORKERS=", "MAGPIE_RUNTIME_PIN=true", "MAGPIE_RUNTIME_PIN=false");
    CHECK(c.workers == 0);
    CHECK(c.pin);
}

TEST_CASE("a refused environment changes nothing") {
    config c;
    CHECK_THROWS_AS(apply(c, "MAGPIE_RUNTIME_PIN=true", "MAGPIE_RUNTIME_WORKERS=x"), config_error);
    CHECK_FALSE(c.pin);
    CHECK(comes_from(c, "runtime.pin", "default"));
}
