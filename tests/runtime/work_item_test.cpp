#include <magpie/runtime/detail/work_item.hpp>

#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <doctest/doctest.h>

#include <type_traits>

namespace {

using namespace magpie::detail;

static_assert(std::is_base_of_v<work_item, waiter> && std::is_base_of_v<work_item, task_context>);
static_assert(std::is_trivially_destructible_v<work_item>);
static_assert(sizeof(work_item) == 3 * sizeof(void*), "one lies in every frame that waits");

TEST_CASE("work_item: is empty when made, and can be queued as it is") {
    work_item a;
    work_item b;
    CHECK((a.next == nullptr && !a.handle && a.context == nullptr));
    intrusive_queue<work_item> queue;
    queue.push_back(&a);
    queue.push_back(&b);
    CHECK(queue.pop_front() == &a);
    CHECK(queue.pop_front() == &b);
    CHECK((a.next == nullptr && b.next == nullptr));
}

TEST_CASE("work_item: a task's record is the item of its own first step") {
    task_context task([](task_context&, finish_kind) noexcept -> std::coroutine_handle<> {
        return std::noop_coroutine();
    });
    CHECK(task.context == &task);
    CHECK_FALSE(task.has_started());
}

}  // namespace
