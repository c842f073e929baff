#pragma once

// Tasks that take a given time, for the tests of the combinators under the simulated clock.

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>
#include <magpie/runtime/this_task.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <runtime/support/kit.hpp>

namespace magpie::tests {

using namespace std::chrono_literals;

using trace = std::vector<std::string>;

// Milliseconds since it was made.
class stopwatch {
public:
    long ms() const { return static_cast<long>((now() - start_) / 1ms); }

private:
    time_point start_ = now();
};

template <class T>
task<T> after(duration d, T value) {
    co_await sleep(d);
    co_return value;
}

inline task<> nap(duration d) {
    co_await sleep(d);
}

struct oops : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline task<int> fails_after(duration d, std::string what) {
    co_await sleep(d);
    throw oops(what);
}

// Sleeps; when it is cancelled, needs `more` to clean up. Says what happens.
inline task<int> cleans_up(trace& seen, std::string name, duration d, duration more) {
    bool cancelled = false;
    try {
        co_await sleep(d);
    } catch (task_cancelled const&) {
        cancelled = true;
    }
    if (cancelled) {
        seen.push_back(name + " cancelled");
        co_await sleep(more);
        seen.push_back(name + " cleaned");
        throw task_cancelled();
    }
    seen.push_back(name + " ended");
    co_return 1;
}

// Counts how often it is cancelled, and goes on sleeping each time, `times` times.
inline task<int> resists(int& deliveries, int times, duration d) {
    while (times-- > 0) {
        try {
            co_await sleep(d);
            break;
        } catch (task_cancelled const&) {
            ++deliveries;
        }
    }
    co_return deliveries;
}

// Until the task has ended, whatever it ended with.
template <class T>
task<> wait_for(join_handle<T>& handle) {
    while (!handle.done()) {
        co_await sleep(1us);
    }
}

inline task<> says(trace& seen, std::string what) {
    seen.push_back(std::move(what));
    co_return;
}

}  // namespace magpie::tests
