#include "magpie/background.hpp"

#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

using magpie::sleep;
using magpie::task;
using magpie::tools::with_background;
using namespace std::chrono_literals;

namespace {

// What happened, in order, under the simulated clock.
class journal {
public:
    task<> step(std::string name, std::chrono::milliseconds time, bool fails = false) {
        try {
            co_await sleep(time);
        } catch (magpie::task_cancelled const&) {
            text_ += name + " cancelled; ";
            throw;
        }
        text_ += name + " done; ";
        if (fails) {
            throw std::runtime_error(name);
        }
    }

    void run(task<> main) {
        magpie::config settings;
        settings.clock = magpie::clock_kind::simulated;
        try {
            magpie::run(std::move(main), settings);
        } catch (std::runtime_error const& error) {
            text_ += "threw " + std::string(error.what());
        }
    }

    std::string const& text() const { return text_; }

private:
    std::string text_;
};

}  // namespace

TEST_CASE("with_background: the background ends with the body") {
    journal j;
    j.run(with_background(j.step("background", 10s), j.step("body", 1s)));
    CHECK(j.text() == "body done; background cancelled; ");
}

TEST_CASE("with_background: a background that is done does not end the body") {
    journal j;
    j.run(with_background(j.step("background", 1s), j.step("body", 10s)));
    CHECK(j.text() == "background done; body done; ");
}

TEST_CASE("with_background: what the body throws comes out, after the background has ended") {
    journal j;
    j.run(with_background(j.step("background", 10s), j.step("body", 1s, true)));
    CHECK(j.text() == "body done; background cancelled; threw body");
}

TEST_CASE("with_background: a background that fails cancels the body, and is what comes out") {
    journal j;
    j.run(with_background(j.step("background", 1s, true), j.step("body", 10s)));
    CHECK(j.text() == "background done; body cancelled; threw background");
}

TEST_CASE("with_background: cancelling it cancels both") {
    journal j;
    auto const main = [](journal& each) -> task<> {
        auto both = magpie::spawn(with_background(each.step("background", 10s), each.step("body", 10s)));
        co_await sleep(1s);
        both.cancel();
        try {
            co_await both;
        } catch (magpie::child_cancelled const&) {}
        CHECK(both.cancelled());
    };
    j.run(main(j));
    CHECK(j.text() == "body cancelled; background cancelled; ");
}
