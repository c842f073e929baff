#pragma once

// How far a run is, on stderr: a bar on a terminal, a plain line every few seconds anywhere else, nothing when the
// output is for a program or nobody wants it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

struct progress_state {
    std::uint64_t done = 0;  // the failed ones included
    std::uint64_t failed = 0;
    std::optional<std::uint64_t> total{};             // items, when known
    std::optional<std::chrono::nanoseconds> limit{};  // the run ends after this time, when it does
    std::chrono::nanoseconds elapsed{};
    double rate = 0;  // items per second, lately
};

// 0 ... 1, of the items or of the time, whichever is nearer to its end; nullopt when neither end is known.
std::optional<double> progress_fraction(progress_state const& state);

// What is left, by the rate or by the clock, whichever ends first; nullopt when that cannot be told.
std::optional<std::chrono::nanoseconds> progress_remaining(progress_state const& state);

// One line of at most `width` columns, without a line end, ASCII only:
//     load [=========>            ]  43%   43,120/100,000  12.3k/s  eta 0:05  2 failed
// As the width shrinks, the bar gets shorter, then the parts go, the least telling first. Failures go last.
std::string render_progress_bar(std::string_view label, progress_state const& state, unsigned width);

// The same without a bar and with the time, for a log:
//     load: 43,120 of 100,000 (43%) in 3.50 s, 12.3k/s, eta 0:05, 2 failed
std::string render_progress_line(std::string_view label, progress_state const& state);

enum class progress_mode : std::uint8_t { off, lines, bar };

// `silent`: --json or --quiet was given. `terminal`: stderr is a terminal that can move its cursor.
constexpr progress_mode choose_progress_mode(bool silent, bool terminal) noexcept {
    return silent ? progress_mode::off : terminal ? progress_mode::bar : progress_mode::lines;
}

// Is stderr a terminal, and TERM something other than "dumb"?
bool stderr_is_terminal() noexcept;

// Where a progress_bar draws.
struct progress_output {
    std::function<void(std::string_view)> write;  // all of it, in one piece; must not throw
    std::function<unsigned()> width;              // columns of the terminal, asked at each drawing
};

// Standard error. Writing to it may block, as long as its reader does.
progress_output stderr_output();

// Used by one thread at a time; cheap enough to be called for every item: it draws at most ten times a second (a line:
// once in five seconds), each time with a single write that overwrites the line before, so that nothing flickers.
class progress_bar {
public:
    using time_point = std::chrono::steady_clock::time_point;

    struct goal {
        std::optional<std::uint64_t> total{};
        std::optional<std::chrono::nanoseconds> limit{};
    };

    progress_bar(std::string label, goal end, progress_mode mode, time_point start,
                 progress_output output = stderr_output());

    // Ends a line that was begun, so that what is printed next, of an error say, has one of its own.
    ~progress_bar();

    progress_bar(progress_bar const&) = delete;
    progress_bar& operator=(progress_bar const&) = delete;

    void update(std::uint64_t done, std::uint64_t failed, time_point now);

    // Draws how it ended, with the rate of the whole run, and ends the line. Later calls do nothing.
    void finish(std::uint64_t done, std::uint64_t failed, time_point now);

private:
    void measure_rate(std::uint64_t done, time_point now);
    void draw(time_point now);

    std::string label_;
    progress_output output_;
    progress_state state_;  // as drawn the last time
    time_point start_;
    time_point drawn_at_;  // the last time, or the start
    progress_mode mode_;
    bool drawn_ = false;
    bool line_begun_ = false;  // the cursor stands behind a bar
    bool finished_ = false;
};

}  // namespace magpie::tools
