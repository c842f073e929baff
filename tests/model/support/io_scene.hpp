#pragma once

// What the models of the two event loops share: tasks that wait for one operation each, at a loop of type loop_under_test,
// and the parts of the runtime that the loop calls, in little. Included after the loop's own code; `world` is what stands
// for the kernel.
//
// A task ends when it is woken, and its frame with it: who touches the operation later is caught. Every scenario ends when
// all tasks have been woken; whoever waits for something that never comes is caught as well.

#include <magpie/io/detail/op_deadline.hpp>
#include <magpie/runtime/detail/kick.hpp>
#include <magpie/runtime/errors.hpp>

#include <cstring>
#include <new>

namespace magpie::io {

void fd::close_quietly(int descriptor) noexcept {
    detail::world::close(descriptor);
}

}  // namespace magpie::io

namespace magpie::model {

using namespace detail;

// One task that waits for one operation.
struct little_task final : op_base {
    little_task(int fd, std::uint64_t length, task_context& record)
        : op_base({.code = io::opcode::read,
                   .fd = fd,
                   .offset = length,
                   .address = reinterpret_cast<std::uintptr_t>(&buffer_of(fd))}) {
        context = &record;
    }
    static guarded<int>& buffer_of(int fd);
    bool start() noexcept { return begin(); }
    io::completed result() const noexcept { return end(); }
};

constexpr unsigned most_tasks = 3;

struct scene;
inline scene* on_stage = nullptr;  // the one that runs

// Tasks, the loop they wait at, and who waits until they are over.
struct scene {
    enum class how : std::uint8_t { not_yet, received, cancelled };

    void set_up() {
        on_stage = this;
        loop = new (&loop_space) loop_under_test(io_config{});
        for (unsigned i = 0; i < most_tasks; ++i) {
            records[i] = new (&record_space[i]) task_context(nullptr);
        }
        kernel = world::only;
    }
    void take_down() {
        kernel->all_leave_cpu();
        loop->poll();
        loop->poll();
        for (unsigned i = 0; i < begun; ++i) {
            MAGPIE_ASSERT(ended[i] != how::not_yet);
        }
        MAGPIE_ASSERT(loop->in_flight() == 0);
        loop->~loop_under_test();
        for (task_context* const each : records) {
            each->~task_context();
        }
    }

    // The owner: a task begins operation `i` on descriptor `i`.
    void begin(unsigned i, std::uint64_t length = 0) {
        tasks[i] = new (&task_space[i]) little_task(static_cast<int>(i), length, *records[i]);
        ++begun;
        if (!tasks[i]->start()) {
            MAGPIE_ASSERT(tasks[i]->was_cancelled() || tasks[i]->result().result == 1);
            leave(i, tasks[i]->was_cancelled() ? how::cancelled : how::received);
        }
    }
    // A task of the owner's that never suspends itself, until all of these are over.
    void be_stuck_until_over(unsigned count) {
        monitor::section in(lock);
        in.wait_until([&] { return over == count; });
    }
    void work_until_over(unsigned count) {
        for (bool done = false; !done;) {
            loop->poll();
            monitor::section const in(lock);
            done = over == count;
        }
    }
    // The owner's way to sleep, as worker::sleep(): it looks once more before.
    void sleep_until_stopped() {
        while (!stop.load(mo_acquire)) {
            loop->park(magpie::time_point::max());
        }
    }
    void stop_the_owner() {
        stop.store(true, mo_release);
        loop->unpark();
    }
    void wait_until_over(unsigned count) {
        monitor::section in(lock);
        in.wait_until([&] { return over == count; });
    }
    void say_ready() {
        monitor::section in(lock);
        ready = true;
        in.tell();
    }
    void wait_until_ready() {
        monitor::section in(lock);
        in.wait_until([&] { return ready; });
    }
    bool is_over(unsigned count) {
        monitor::section const in(lock);
        return over == count;
    }
    // A thief, as worker::rescue_others(), for as long as there may be something.
    void rescue_until_over(unsigned count) {
        while (!is_over(count)) {
            if (loop->is_stranded()) {
                (void)loop->take_over();
            } else {
                yield_thread();
            }
        }
        kernel->leave_cpu();
    }
    void rescue_once() {
        (void)loop->take_over();
        (void)loop->reap();
        kernel->leave_cpu();
    }
    void cancel(unsigned i) { (void)records[i]->request_cancel(request_origin::external); }

    // In place of the worker that would run the task.
    void run(little_task& task) {
        unsigned const i = static_cast<unsigned>(task.request().fd);
        MAGPIE_ASSERT(tasks[i] == &task && ended[i] == how::not_yet);
        int const result = task.result().result;
        MAGPIE_ASSERT(result == 1 || result == -ECANCELED);
        MAGPIE_ASSERT(result != 1 || static_cast<int>(buffers[i]) == 1);
        leave(i, result == 1 ? how::received : how::cancelled);
    }
    void leave(unsigned i, how end) {
        ended[i] = end;
        tasks[i]->~little_task();
        std::memset(&task_space[i], 0xdd, sizeof task_space[i]);  // with the frame: who comes now is caught
        monitor::section in(lock);
        ++over;
        in.tell();
    }

    loop_under_test* loop = nullptr;
    world* kernel = nullptr;
    std::array<little_task*, most_tasks> tasks{};
    std::array<task_context*, most_tasks> records{};
    std::array<guarded<int>, most_tasks> buffers{};
    std::array<how, most_tasks> ended{};
    unsigned begun = 0;
    atomic<bool> stop{false};
    monitor lock;
    unsigned over = 0;   // under the lock
    bool ready = false;  // under the lock

    alignas(64) static inline unsigned char loop_space[sizeof(loop_under_test)];
    struct alignas(64) space {
        unsigned char bytes[sizeof(little_task)];
    };
    static inline space task_space[most_tasks];
    struct alignas(64) record_space_type {
        unsigned char bytes[sizeof(task_context)];
    };
    static inline record_space_type record_space[most_tasks];
};

inline guarded<int>& little_task::buffer_of(int fd) {
    return on_stage->buffers[static_cast<unsigned>(fd)];
}

}  // namespace magpie::model

namespace magpie::detail {

void schedule(work_item& item) noexcept {
    model::on_stage->run(static_cast<model::little_task&>(item));
}
// No request is passed on from task to task here.
cancel_delivery* innermost_delivery() noexcept {
    return nullptr;
}
void set_innermost_delivery(cancel_delivery*) noexcept {}
// Receives that wait for a buffer are not modelled: nobody has a loop of its own to take them to.
worker* current_worker() noexcept {
    return nullptr;
}
driver& current_driver() noexcept {
    return *model::on_stage->loop;
}
bool can_kick() noexcept {
    return true;
}
bool kick() noexcept {
    model::on_stage->kernel->kick();
    return true;
}
bool budget_exhausted() noexcept {
    return false;
}
void deliver_cancellation(task_context&) {
    throw task_cancelled();
}
void op_deadline::arm_for(op_base&) noexcept {}
bool op_deadline::stop() noexcept {
    return false;
}

}  // namespace magpie::detail

