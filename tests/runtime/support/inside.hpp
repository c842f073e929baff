#pragma once

// What a runtime is inside, for tests that wait until it has noticed something.

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>
#include <magpie/runtime/task.hpp>

namespace magpie::tests {

// From outside of its tasks.
inline detail::scheduler& scheduler_of(runtime& rt) {
    auto const inside = []() -> task<detail::scheduler*> { co_return &detail::current_worker()->shared(); };
    return *rt.block_on(inside());
}

}  // namespace magpie::tests
