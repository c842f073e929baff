#pragma once

#include <memory>

namespace magpie {

namespace detail {
class outside_work;
}

// While one lives, the task's runtime expects something from outside: another thread will set an event or a promise, put
// into a queue, spawn. Of use under the simulated clock, which knows of calls on its own blocking pool, of blocking_put()
// and blocking_get() and of nothing else outside: the clock stands still meanwhile, and no deadlock_error is thrown. Under
// the real clock it does nothing.
//
//   outside_source source;
//   std::thread other([&, source = std::move(source)]() mutable { ready.set(); });
//   co_await ready.wait();
//
// Move-only. Made in a task; throws usage_error elsewhere. May be destroyed on any thread, also after the runtime; what
// was brought before is then seen before time passes.
class [[nodiscard]] outside_source {
public:
    outside_source();
    outside_source(outside_source&&) noexcept = default;
    outside_source& operator=(outside_source&& other) noexcept;
    ~outside_source();

private:
    std::shared_ptr<detail::outside_work> work_;  // null when moved from
};

}  // namespace magpie
