// The cancel word: a wait against its completion, requests, and somebody who describes it. The code under test is the
// library's own, compiled against the model's atomics.
//
// A scenario's task waits once, at a primitive in little: a lock, one waiter, one value. Who queues the waiter goes on
// with the task at once, in its own thread: whatever orders the queue itself would add is left out, so that a missing
// order of the word shows as a race on the frame's plain data.

#include "model.hpp"

#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/scheduler/task_context.cpp>

#include <new>
#include <string>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

struct primitive;

// The part of the task's frame that lives as long as it waits.
struct frame final : waiter {
    explicit frame(primitive& p) : at(&p) {}
    bool try_cancel() noexcept override;
    std::string describe() const override {
        (void)static_cast<int>(alive);
        return {};
    }
    void refuse() noexcept { cancelled_ = true; }

    primitive* at;
    guarded<int> alive{0};  // written when the wait begins and when it is over: who still looks then is caught
};

struct primitive {
    explicit primitive(task_context& task) : wait(*this) {
        wait.context = &task;
    }

    // The task: takes the value, or waits.
    void wait_for_it() {
        wait.alive = 1;
        lock.lock();
        if (has_value) {
            has_value = false;
            got_value = true;
            lock.unlock();
            over();
            return;
        }
        if (!wait.context->suspend(wait)) {
            wait.refuse();
            lock.unlock();
            over();
            return;
        }
        linked = true;
        lock.unlock();
    }
    // The other side: grants it to the waiter, or leaves it here.
    void put() {
        lock.lock();
        bool const grant = linked;
        linked = false;
        if (!grant) {
            has_value = true;
        }
        lock.unlock();
        if (grant) {
            value = 5;
            got_value = true;
            wait.wake();
        }
    }
    // The task goes on.
    void over() {
        MAGPIE_ASSERT(resumed == 0);
        resumed = resumed + 1;
        wait.alive = 2;
        if (wait.was_cancelled()) {
            MAGPIE_ASSERT(!got_value);
            wait.context->consume_request();
            MAGPIE_ASSERT(static_cast<int>(reason) == 7);  // what the canceller did before it asked
        } else if (got_value) {
            (void)static_cast<int>(value);
        }
    }

    frame wait;
    spin_lock lock;
    guarded<bool> linked{false};
    guarded<bool> has_value{false};
    guarded<bool> got_value{false};
    guarded<int> value{0};
    guarded<int> reason{0};
    guarded<int> resumed{0};
};

bool frame::try_cancel() noexcept {
    MAGPIE_ASSERT(static_cast<int>(alive) == 1);
    at->lock.lock();
    bool const was_linked = at->linked;
    at->linked = false;
    at->lock.unlock();
    return was_linked;
}

// A task and where it waits, at addresses that the word can hold.
struct scene {
    void set_up() {
        task = new (&task_space) task_context(nullptr);
        place = new (&place_space) primitive(*task);
    }
    void take_down() {
        place->~primitive();
        task->~task_context();
    }
    void ask() {
        place->reason = 7;
        MAGPIE_ASSERT(task->request_cancel(request_origin::scope));
    }

    task_context* task = nullptr;
    primitive* place = nullptr;
    alignas(16) static inline unsigned char task_space[sizeof(task_context)];
    alignas(16) static inline unsigned char place_space[sizeof(primitive)];
};

} // namespace

namespace magpie::detail {

void schedule(work_item& item) noexcept {
    static_cast<frame&>(item).at->over();
}

// No request is passed on here.
cancel_delivery* innermost_delivery() noexcept {
    return nullptr;
}
void set_innermost_delivery(cancel_delivery*) noexcept {}

} // namespace magpie::detail

namespace {

// A value and a request: one of them ends the wait, and nothing is lost.
struct completion_against_request : rl::test_suite<completion_against_request, 3>, scene {
    static constexpr char const* name = "task_context: a completion against a request";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else if (index == 1) {
            place->put();
        } else {
            ask();
        }
    }
    void after() {
        MAGPIE_ASSERT(place->resumed == 1);
        bool const cancelled = place->wait.was_cancelled();
        MAGPIE_ASSERT(cancelled != static_cast<bool>(place->got_value));
        MAGPIE_ASSERT(cancelled == static_cast<bool>(place->has_value));  // not given, so still there
        MAGPIE_ASSERT(cancelled != task->request_pending());              // delivered, or left for the next wait
        MAGPIE_ASSERT(task->cancel_count() == 1);
        MAGPIE_ASSERT(!task->suspended_cancellably());
        take_down();
    }
};

// Two requests and no value: the wait ends, once, and both are counted.
struct two_requests : rl::test_suite<two_requests, 3>, scene {
    static constexpr char const* name = "task_context: two requests";
    void before() {
        set_up();
        place->reason = 7;
    }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else {
            MAGPIE_ASSERT(task->request_cancel(request_origin::scope));
        }
    }
    void after() {
        MAGPIE_ASSERT(place->resumed == 1);
        MAGPIE_ASSERT(place->wait.was_cancelled());
        MAGPIE_ASSERT(task->cancel_count() == 2);
        MAGPIE_ASSERT(!task->suspended_cancellably());
        take_down();
    }
};

// Somebody looks at the wait while it is cancelled: the request must not be lost between the two.
struct description_against_request : rl::test_suite<description_against_request, 3>, scene {
    static constexpr char const* name = "task_context: a description against a request";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else if (index == 1) {
            (void)task->describe_wait();
        } else {
            ask();
        }
    }
    void after() {
        MAGPIE_ASSERT(place->resumed == 1);
        MAGPIE_ASSERT(place->wait.was_cancelled());
        take_down();
    }
};

struct description_against_completion : rl::test_suite<description_against_completion, 3>, scene {
    static constexpr char const* name = "task_context: a description against a completion";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else if (index == 1) {
            (void)task->describe_wait();
        } else {
            place->put();
        }
    }
    void after() {
        MAGPIE_ASSERT(place->resumed == 1);
        MAGPIE_ASSERT(place->got_value);
        MAGPIE_ASSERT(!task->suspended_cancellably());
        take_down();
    }
};

// All of them at once.
struct everybody : rl::test_suite<everybody, 4>, scene {
    static constexpr char const* name = "task_context: everybody at once";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else if (index == 1) {
            (void)task->describe_wait();
        } else if (index == 2) {
            place->put();
        } else {
            ask();
        }
    }
    void after() {
        MAGPIE_ASSERT(place->resumed == 1);
        MAGPIE_ASSERT(place->wait.was_cancelled() != static_cast<bool>(place->got_value));
        take_down();
    }
};

// The task takes a request back while another is made: the flag follows the count. (The task alone calls uncancel(), so
// that no order is needed, and none is taken away here.)
struct withdrawal_against_request : rl::test_suite<withdrawal_against_request, 2>, scene {
    [[maybe_unused]] static constexpr char const* name = "task_context: a withdrawal against a request";
    void before() {
        set_up();
        (void)task->request_cancel(request_origin::scope);
    }
    void thread(unsigned index) {
        if (index == 0) {
            (void)task->uncancel();
            task->rearm();
        } else {
            (void)task->request_cancel(request_origin::external);
        }
    }
    void after() {
        MAGPIE_ASSERT(task->cancel_count() == 1);
        MAGPIE_ASSERT(task->request_pending());
        MAGPIE_ASSERT(task->uncancel() == 0);
        MAGPIE_ASSERT(!task->request_pending());
        take_down();
    }
};

// A canceller that lets the task run while it is still inside.
struct broken_primitive : rl::test_suite<broken_primitive, 3>, scene {
    static constexpr char const* name = "a waker that does not ask complete()";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            place->wait_for_it();
        } else if (index == 1) {
            place->lock.lock();
            bool const grant = place->linked;
            place->linked = false;
            place->lock.unlock();
            if (grant) {
                place->over();
            }
        } else {
            (void)task->request_cancel(request_origin::scope);
        }
    }
    void after() { take_down(); }
};

} // namespace

int main() {
    constexpr rl::iteration_t iterations = 20'000;
    bool const can_fail = model::is_found<broken_primitive>(iterations);
    int const status = model::check<completion_against_request, two_requests, description_against_request,
                                    description_against_completion, everybody>(iterations);
    bool const holds = model::explore<withdrawal_against_request>(iterations) == rl::test_result_success;
    return can_fail && holds ? status : 1;
}
