#include "progress_bar.hpp"

#include "duration_text.hpp"
#include "number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace magpie::tools {

namespace {

using std::chrono::nanoseconds;
using seconds = std::chrono::duration<double>;

constexpr nanoseconds bar_interval = std::chrono::milliseconds(100);
constexpr nanoseconds line_interval = std::chrono::seconds(5);
constexpr seconds rate_memory{3};  // after this time a change of the rate is shown to two thirds

constexpr std::size_t narrowest_bar = 10;
constexpr std::size_t widest_bar = 40;

std::string percent_text(double fraction) {
    // Rounded down: 100% means that nothing is left.
    return fmt::format("{:3.0f}%", std::floor(fraction * 100));
}

std::string draw_bar(double fraction, std::size_t columns) {
    auto const filled = static_cast<std::size_t>(fraction * static_cast<double>(columns));
    std::string bar(std::min(filled, columns), '=');
    if (bar.size() < columns) {
        bar += '>';
    }
    bar.resize(columns, ' ');
    return "[" + bar + "]";
}

// The parts of a line behind the bar. Widths are kept steady, so that the line does not tremble.
struct parts {
    std::string percent, count, rate, remaining, failed;
};

parts make_parts(progress_state const& state) {
    parts result;
    if (auto const fraction = progress_fraction(state)) {
        result.percent = " " + percent_text(*fraction);
    }
    result.count = "  " + format_count(state.done);
    if (state.total) {
        std::string const total = format_count(*state.total);
        result.count = fmt::format("  {:>{}}/{}", format_count(state.done), total.size(), total);
    }
    result.rate = fmt::format("  {:>6}", format_short(state.rate) + "/s");
    if (auto const remaining = progress_remaining(state)) {
        result.remaining = "  eta " + format_clock(*remaining);
    } else {
        result.remaining = "  " + format_clock(state.elapsed);
    }
    if (state.failed > 0) {
        result.failed = fmt::format("  {} failed", format_count(state.failed));
    }
    return result;
}

unsigned terminal_width() {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

void write_to_stderr(std::string_view text) {
    while (!text.empty()) {
        ssize_t const written = ::write(STDERR_FILENO, text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;  // nobody reads it; the run is worth more than its progress
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

std::optional<double> progress_fraction(progress_state const& state) {
    std::optional<double> fraction;
    auto const consider = [&](double part, double whole) {
        double const value = whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 1.0;
        fraction = std::max(fraction.value_or(0.0), value);
    };
    if (state.total) {
        consider(static_cast<double>(state.done), static_cast<double>(*state.total));
    }
    if (state.limit) {
        consider(seconds(state.elapsed).count(), seconds(*state.limit).count());
    }
    return fraction;
}

std::optional<nanoseconds> progress_remaining(progress_state const& state) {
    // What takes longer than this is not known well enough to be shown, and would overflow.
    constexpr double longest_told = 1000 * 3600.0;
    std::optional<nanoseconds> remaining;
    if (state.limit) {
        remaining = std::max(*state.limit - state.elapsed, nanoseconds{});
    }
    if (state.total && state.done >= *state.total) {
        return nanoseconds{};
    }
    if (state.total && state.rate > 0) {
        double const left = static_cast<double>(*state.total - state.done) / state.rate;
        if (left <= longest_told) {
            auto const by_rate = std::chrono::duration_cast<nanoseconds>(seconds(left));
            remaining = std::min(remaining.value_or(by_rate), by_rate);
        }
    }
    return remaining;
}

std::string render_progress_bar(std::string_view label, progress_state const& state, unsigned width) {
    parts shown = make_parts(state);
    std::string name(label);
    std::string bar;
    auto const assemble = [&] {
        std::string line = name + bar + shown.percent + shown.count + shown.rate + shown.remaining + shown.failed;
        return line.erase(0, line.find_first_not_of(' '));
    };
    std::string line = assemble();
    for (std::string* part : {&shown.remaining, &shown.rate, &name, &shown.count, &shown.percent}) {
        if (line.size() <= width) break;
        part->clear();
        line = assemble();
    }
    auto const fraction = progress_fraction(state);
    // A space and two brackets; without a name, the two spaces behind the bar, which led the line until now.
    std::size_t const taken = line.size() + (name.empty() ? 4 : 3);
    if (fraction && taken + narrowest_bar <= width) {
        bar = " " + draw_bar(*fraction, std::min<std::size_t>(width - taken, widest_bar));
        line = assemble();
    }
    line.resize(std::min<std::size_t>(line.size(), width));
    return line;
}

std::string render_progress_line(std::string_view label, progress_state const& state) {
    std::string line = fmt::format("{}: {}", label, format_count(state.done));
    if (state.total) {
        line += " of " + format_count(*state.total);
    }
    if (auto const fraction = progress_fraction(state)) {
        std::string const percent = percent_text(*fraction);
        line += fmt::format(" ({})", percent.substr(percent.find_first_not_of(' ')));
    }
    line += fmt::format(" in {}, {}/s", format_duration(state.elapsed), format_short(state.rate));
    if (auto const remaining = progress_remaining(state); remaining && remaining->count() > 0) {
        line += ", eta " + format_clock(*remaining);
    }
    if (state.failed > 0) {
        line += fmt::format(", {} failed", format_count(state.failed));
    }
    return line;
}

bool stderr_is_terminal() noexcept {
    char const* const terminal = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): nothing here changes it
    return isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

progress_output stderr_output() {
    return {write_to_stderr, terminal_width};
}

progress_bar::progress_bar(std::string label, goal end, progress_mode mode, time_point start, progress_output output)
    : label_(std::move(label)), output_(std::move(output)), start_(start), drawn_at_(start), mode_(mode) {
    state_.total = end.total;
    state_.limit = end.limit;
}

progress_bar::~progress_bar() {
    if (line_begun_) {
        output_.write("\n");
    }
}

void progress_bar::update(std::uint64_t done, std::uint64_t failed, time_point now) {
    nanoseconds const interval = mode_ == progress_mode::bar ? bar_interval : line_interval;
    if (finished_ || mode_ == progress_mode::off || now - drawn_at_ < interval) {
        return;
    }
    measure_rate(done, now);
    state_.done = done;
    state_.failed = failed;
    draw(now);
}

void progress_bar::finish(std::uint64_t done, std::uint64_t failed, time_point now) {
    if (finished_ || mode_ == progress_mode::off) {
        return;
    }
    finished_ = true;
    double const elapsed = seconds(now - start_).count();
    state_.done = done;
    state_.failed = failed;
    state_.rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
    draw(now);
    if (line_begun_) {
        output_.write("\n");
        line_begun_ = false;
    }
}

// The mean of the rates between two drawings, the older ones fading away.
void progress_bar::measure_rate(std::uint64_t done, time_point now) {
    double const passed = seconds(now - drawn_at_).count();
    double const rate = (static_cast<double>(done) - static_cast<double>(state_.done)) / passed;
    double const weight = drawn_ ? 1 - std::exp(-passed / rate_memory.count()) : 1;
    state_.rate += (rate - state_.rate) * weight;
}

void progress_bar::draw(time_point now) {
    state_.elapsed = now - start_;
    drawn_at_ = now;
    drawn_ = true;
    if (mode_ == progress_mode::lines) {
        output_.write(render_progress_line(label_, state_) + "\n");
        return;
    }
    // The last column stays free, where some terminals begin a new line. What is left of a longer line is erased
    // behind the new one, never before it.
    unsigned const columns = output_.width();
    output_.write("\r" + render_progress_bar(label_, state_, columns > 1 ? columns - 1 : 1) + "\x1b[K");
    line_begun_ = true;
}

}  // namespace magpie::tools
