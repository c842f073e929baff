#include "background.hpp"

#include <magpie/combinators/wait.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>

#include <array>
#include <exception>
#include <utility>

namespace magpie::tools {

namespace {

// Waits for its end, also when who awaits is cancelled meanwhile, and gives its error.
task<std::exception_ptr> end_of(join_handle<>& handle) {
    try {
        co_await handle;
    } catch (...) {
        co_return std::current_exception();
    }
    co_return nullptr;
}

// Of a task that has ended. To be cancelled is no failure.
bool failed(join_handle<>& handle) {
    return !handle.cancelled() && !handle.result().has_value();
}

}  // namespace

task<> with_background(task<> background, task<> body) {
    join_handle<> beside = spawn(std::move(background));
    join_handle<> main = spawn(std::move(body));
    std::array<handle_ref, 2> const both = {beside.ref(), main.ref()};
    std::exception_ptr cancelled;
    try {
        co_await wait(both, {.until = first_completed});
    } catch (task_cancelled const&) {
        cancelled = std::current_exception();
    }
    bool const broken = beside.done() && failed(beside);
    if (cancelled || broken) {
        main.cancel();
    }
    std::exception_ptr const body_error = co_await end_of(main);
    beside.cancel();
    std::exception_ptr const background_error = co_await end_of(beside);
    if (failed(beside)) {
        std::rethrow_exception(background_error);
    }
    if (cancelled) {
        std::rethrow_exception(cancelled);
    }
    if (body_error) {
        std::rethrow_exception(body_error);
    }
}

}  // namespace magpie::tools
