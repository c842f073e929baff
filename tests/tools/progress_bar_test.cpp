#include "magpie/progress_bar.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace magpie::tools;
using namespace std::chrono_literals;

namespace {

progress_state halfway() {
    progress_state state;
    state.done = 43120;
    state.total = 100000;
    state.elapsed = 3500ms;
    state.rate = 12320;
    return state;
}

// A screen that keeps what was written, one entry for each write.
struct screen {
    std::vector<std::string> writes;
    unsigned columns = 80;

    progress_output output() {
        return {[this](std::string_view text) { writes.emplace_back(text); }, [this] { return columns; }};
    }
};

progress_bar::time_point const start{};

}  // namespace

TEST_CASE("progress: how far it is") {
    CHECK_FALSE(progress_fraction({}).has_value());
    CHECK(progress_fraction({.done = 1, .total = 4}) == 0.25);
    CHECK(progress_fraction({.done = 9, .total = 4}) == 1.0);
    CHECK(progress_fraction({.total = 0}) == 1.0);
    CHECK(progress_fraction({.limit = 10s, .elapsed = 5s}) == 0.5);
    CHECK(progress_fraction({.done = 1, .total = 4, .limit = 10s, .elapsed = 5s}) == 0.5);  // the nearer end
    CHECK(progress_fraction({.limit = 10s, .elapsed = 50s}) == 1.0);
}

TEST_CASE("progress: what is left") {
    CHECK_FALSE(progress_remaining({}).has_value());
    CHECK_FALSE(progress_remaining({.done = 1, .total = 4}).has_value());  // no rate yet
    CHECK(progress_remaining({.done = 1, .total = 5, .rate = 2}) == 2s);
    CHECK_FALSE(progress_remaining({.done = 1, .rate = 2}).has_value()); // no end
    CHECK(progress_remaining({.done = 5, .total = 5}) == 0s);
    CHECK(progress_remaining({.done = 7, .total = 5, .rate = 1}) == 0s);
    CHECK(progress_remaining({.limit = 10s, .elapsed = 4s}) == 6s);
    CHECK(progress_remaining({.limit = 10s, .elapsed = 14s}) == 0s);
    CHECK(progress_remaining({.done = 1, .total = 5, .limit = 10s, .elapsed = 9s, .rate = 2}) == 1s);
    CHECK_FALSE(progress_remaining({.done = 1, .total = ~0ULL, .rate = 1e-9}).has_value());
}

TEST_CASE("progress: a bar with everything") {
    CHECK(render_progress_bar("load", halfway(), 79) ==
          "load [=============>                 ]  43%   43,120/100,000  12.3k/s  eta 0:05");
    progress_state state = halfway();
    state.failed = 2;
    CHECK(render_progress_bar("load", state, 100) ==
          "load [=================>                      ]  43%   43,120/100,000  12.3k/s  eta 0:05  2 failed");
}

TEST_CASE("progress: never wider than asked, and the failures stay longest") {
    progress_state state = halfway();
    state.failed = 2;
    for (unsigned width = 0; width <= 200; ++width) {
        CAPTURE(width);
        std::string const line = render_progress_bar("load", state, width);
        REQUIRE(line.size() <= width);
        REQUIRE(line.find('\n') == std::string::npos);
        if (width >= 8) REQUIRE(line.find("2 failed") != std::string::npos);
        if (width >= 13) REQUIRE(line.find("43%") != std::string::npos);
    }
    CHECK(render_progress_bar("load", state, 60) == "load  43%   43,120/100,000  12.3k/s  eta 0:05  2 failed");
    CHECK(render_progress_bar("load", state, 30) == "43%   43,120/100,000  2 failed");
    CHECK(render_progress_bar("load", state, 14) == "43%  2 failed");
}

TEST_CASE("progress: a label is not needed") {
    for (unsigned width = 0; width <= 120; ++width) {
        CAPTURE(width);
        REQUIRE(render_progress_bar("", halfway(), width).size() <= width);
    }
    CHECK(render_progress_bar("", halfway(), 79) ==
          "[===============>                    ]  43%   43,120/100,000  12.3k/s  eta 0:05");
}

TEST_CASE("progress: the bar is empty at the start, full at the end, and full at no other time") {
    progress_state state;
    state.total = 1000;
    auto const line = [&](std::uint64_t done) {
        state.done = done;
        return render_progress_bar("x", state, 60);
    };
    CHECK(line(0).find("[>  ") != std::string::npos);
    CHECK(line(999).find("=>]  99%") != std::string::npos);
    CHECK(line(1000).find("==] 100%") != std::string::npos);
    CHECK(line(1000).find('>') == std::string::npos);
}

TEST_CASE("progress: the line keeps its length while the numbers grow") {
    progress_state early = halfway();
    early.done = 7;
    CHECK(render_progress_bar("load", early, 79).size() == render_progress_bar("load", halfway(), 79).size());
}

TEST_CASE("progress: without an end there is no bar") {
    progress_state state;
    state.done = 1234;
    state.elapsed = 61s;
    state.rate = 20;
    CHECK(render_progress_bar("load", state, 79) == "load  1,234  20.0/s  1:01");
}

TEST_CASE("progress: a plain line") {
    progress_state state = halfway();
    CHECK(render_progress_line("load", state) == "load: 43,120 of 100,000 (43%) in 3.50 s, 12.3k/s, eta 0:05");
    state.failed = 3;
    state.done = 100000;
    CHECK(render_progress_line("load", state) == "load: 100,000 of 100,000 (100%) in 3.50 s, 12.3k/s, 3 failed");
    CHECK(render_progress_line("load", {.done = 5, .elapsed = 1s, .rate = 5}) == "load: 5 in 1.00 s, 5.00/s");
}

TEST_CASE("progress: the mode") {
    CHECK(choose_progress_mode(false, true) == progress_mode::bar);
    CHECK(choose_progress_mode(false, false) == progress_mode::lines);
    CHECK(choose_progress_mode(true, true) == progress_mode::off);
    CHECK(choose_progress_mode(true, false) == progress_mode::off);
}

TEST_CASE("progress_bar: one write a drawing, ten drawings a second at most") {
    screen term;
    progress_bar bar("load", {.total = 1000}, progress_mode::bar, start, term.output());
    for (int millisecond = 1; millisecond <= 1000; ++millisecond) {
        bar.update(static_cast<std::uint64_t>(millisecond), 0, start + std::chrono::milliseconds(millisecond));
    }
    REQUIRE(term.writes.size() == 10);
    for (std::string const& text : term.writes) {
        CHECK(text.starts_with("\rload ["));
        CHECK(text.ends_with("\x1b[K"));
        CHECK(text.find('\n') == std::string::npos);
    }
    CHECK(term.writes.back().find("1.00k/s") != std::string::npos);
}

TEST_CASE("progress_bar: it follows the width of the terminal and leaves the last column free") {
    screen term;
    progress_bar bar("load", {.total = 1000}, progress_mode::bar, start, term.output());
    bar.update(10, 0, start + 100ms);
    term.columns = 30;
    bar.update(20, 0, start + 200ms);
    REQUIRE(term.writes.size() == 2);
    CHECK(term.writes[0].size() > 60);
    CHECK(term.writes[1].size() <= 1 + 29 + 3);
}

TEST_CASE("progress_bar: the rate follows a change, the last line gives the mean") {
    screen term;
    progress_bar bar("load", {}, progress_mode::bar, start, term.output());
    bar.update(1000, 0, start + 10s);
    CHECK(term.writes.back().find(" 100/s") != std::string::npos);
    bar.update(11000, 0, start + 20s);
    CHECK(term.writes.back().find(" 968/s") != std::string::npos);  // nearly all of the way to 1000
    bar.finish(11000, 0, start + 22s);
    CHECK(term.writes[2].find(" 500/s") != std::string::npos);
}

TEST_CASE("progress_bar: the end is drawn once, whenever it comes, and ends the line") {
    screen term;
    {
        progress_bar bar("load", {.total = 10}, progress_mode::bar, start, term.output());
        bar.update(1, 0, start + 1ms);
        CHECK(term.writes.empty());
        bar.finish(10, 1, start + 2ms);
        REQUIRE(term.writes.size() == 2);
        CHECK(term.writes[0].find("10/10") != std::string::npos);
        CHECK(term.writes[0].find("1 failed") != std::string::npos);
        CHECK(term.writes[1] == "\n");
        bar.update(10, 1, start + 10s);
        bar.finish(10, 1, start + 20s);
    }
    CHECK(term.writes.size() == 2);
}

TEST_CASE("progress_bar: a bar that is left alone gives its line back") {
    screen term;
    {
        progress_bar drawn("load", {}, progress_mode::bar, start, term.output());
        drawn.update(1, 0, start + 1s);
        progress_bar const untouched("load", {}, progress_mode::bar, start, term.output());
    }
    REQUIRE(term.writes.size() == 2);
    CHECK(term.writes.back() == "\n");
}

TEST_CASE("progress_bar: plain lines come every few seconds") {
    screen file;
    progress_bar bar("load", {.total = 100}, progress_mode::lines, start, file.output());
    for (int second = 1; second <= 12; ++second) {
        bar.update(static_cast<std::uint64_t>(second), 0, start + std::chrono::seconds(second));
    }
    CHECK(file.writes == std::vector<std::string>{"load: 5 of 100 (5%) in 5.00 s, 1.00/s, eta 1:35\n",
                                                  "load: 10 of 100 (10%) in 10.0 s, 1.00/s, eta 1:30\n"});
    bar.finish(12, 0, start + 12s);
    CHECK(file.writes.back() == "load: 12 of 100 (12%) in 12.0 s, 1.00/s, eta 1:28\n");
}

TEST_CASE("progress_bar: off is silent") {
    screen file;
    {
        progress_bar bar("load", {.total = 100}, progress_mode::off, start, file.output());
        bar.update(1, 0, start + 10s);
        bar.finish(100, 0, start + 20s);
    }
    CHECK(file.writes.empty());
}
