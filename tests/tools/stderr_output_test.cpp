// The progress bar's way to the screen, on a pseudo-terminal in place of stderr.

#include "magpie/progress_bar.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace magpie::tools;
using namespace std::chrono_literals;

namespace {

// Until it is destroyed, stderr is a terminal of so many columns, or a pipe.
class stderr_swap {
public:
    explicit stderr_swap(std::optional<unsigned short> columns) : kept_(dup(STDERR_FILENO)) {
        int writer = -1;
        if (columns) {
            reader_ = posix_openpt(O_RDWR | O_NOCTTY);
            REQUIRE(grantpt(reader_) == 0);
            REQUIRE(unlockpt(reader_) == 0);
            writer = open(ptsname(reader_), O_RDWR | O_NOCTTY);  // NOLINT(concurrency-mt-unsafe)
            winsize const size{.ws_row = 24, .ws_col = *columns, .ws_xpixel = 0, .ws_ypixel = 0};
            REQUIRE(ioctl(reader_, TIOCSWINSZ, &size) == 0);
        } else {
            int ends[2] = {-1, -1};
            REQUIRE(pipe(ends) == 0);
            reader_ = ends[0];
            writer = ends[1];
        }
        REQUIRE(writer >= 0);
        dup2(writer, STDERR_FILENO);
        close(writer);
    }
    ~stderr_swap() {
        dup2(kept_, STDERR_FILENO);
        close(kept_);
        close(reader_);
    }
    stderr_swap(stderr_swap const&) = delete;
    stderr_swap& operator=(stderr_swap const&) = delete;

    std::string read_once() const {
        std::string text(4096, '\0');
        ssize_t const length = ::read(reader_, text.data(), text.size());
        text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
        return text;
    }

private:
    int kept_;
    int reader_ = -1;
};

struct term_swap {
    explicit term_swap(char const* value) {
        if (char const* const now = std::getenv("TERM")) kept_ = now;  // NOLINT(concurrency-mt-unsafe)
        setenv("TERM", value, 1);                                      // NOLINT(concurrency-mt-unsafe)
    }
    ~term_swap() { setenv("TERM", kept_.c_str(), 1); }  // NOLINT(concurrency-mt-unsafe)

private:
    std::string kept_ = "dumb";
};

}  // namespace

TEST_CASE("stderr_output: a terminal is recognised, unless it is a dumb one or none") {
    bool terminal = false;
    bool dumb = true;
    bool pipe = true;
    {
        stderr_swap const swapped(40);
        {
            term_swap const term("xterm");
            terminal = stderr_is_terminal();
        }
        term_swap const term("dumb");
        dumb = stderr_is_terminal();
    }
    {
        stderr_swap const swapped(std::nullopt);
        term_swap const term("xterm");
        pipe = stderr_is_terminal();
    }
    CHECK(terminal);
    CHECK_FALSE(dumb);
    CHECK_FALSE(pipe);
}

TEST_CASE("stderr_output: the bar has the width of the terminal and arrives as it was drawn") {
    std::string text;
    unsigned width = 0;
    {
        stderr_swap const swapped(40);
        progress_bar bar("load", {.total = 10}, progress_mode::bar, {});
        bar.update(5, 0, progress_bar::time_point(1s));
        text = swapped.read_once();
        width = stderr_output().width();
    }
    CHECK(width == 40);
    progress_state const state{.done = 5, .total = 10, .elapsed = 1s, .rate = 5};
    CHECK(text == "\r" + render_progress_bar("load", state, 39) + "\x1b[K");
}

TEST_CASE("stderr_output: where no width is known it is the usual one") {
    unsigned in_pipe = 0;
    unsigned in_terminal = 0;
    {
        stderr_swap const swapped(std::nullopt);
        in_pipe = stderr_output().width();
    }
    {
        stderr_swap const swapped(0);  // a terminal that nobody has told its size
        in_terminal = stderr_output().width();
    }
    CHECK(in_pipe == 80);
    CHECK(in_terminal == 80);
}
