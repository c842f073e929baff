// The loop over io_uring while its owner works, sleeps, or is stuck in a task, and others do its work. The code under test
// is the library's own: the loop and its take-over, the inboxes, the wake-up, and an operation's state; only the ring is a
// model's, with a kernel in little (support/little_ring.hpp). The other parts are modelled apart: who is woken for a rescue
// in stall_monitor_model.cpp, the forked children in claim_model.cpp.

#include "support/little_ring.hpp"

#include <magpie/io/loop/uring_loop.hpp>
#include <string>

#include <sys/eventfd.h>
#include <unistd.h>

// No buffers in the scenarios, so none are registered.
extern "C" int io_uring_register(unsigned, unsigned, void const*, unsigned) {
    return -22;
}

namespace std::chrono {

// Time passes with each look at it, so that the limits on how often something is done hold nobody up.
struct model_clock {
    static steady_clock::time_point now() {
        static steady_clock::duration passed{};
        return steady_clock::time_point(passed += milliseconds{1});
    }
};

}  // namespace std::chrono

// The library's own code, in one translation unit, with the model's system calls.
#define eventfd(...) model_open_eventfd()
#define write model_write_eventfd
static int model_open_eventfd() {
    return magpie::detail::ring::eventfd_descriptor;
}
static long model_write_eventfd(int, void const*, std::size_t) {
    magpie::detail::ring::only->write_eventfd();
    return 8;
}
#include <magpie/io/loop/wakeup.cpp>
#undef eventfd
#undef write
#include <magpie/io/loop/buffer_pool.cpp>
#include <magpie/io/loop/uring_loop.cpp>
#define op_of op_of_the_event_loop
#include <magpie/io/loop/event_loop.cpp>
#undef op_of
#define steady_clock model_clock
#include <magpie/io/loop/uring_take_over.cpp>
#undef steady_clock
#include <magpie/io/op.cpp>
#include <magpie/runtime/scheduler/task_context.cpp>

namespace magpie::detail {

using loop_under_test = uring_loop;
using world = ring;

}  // namespace magpie::detail

#include "support/io_scene.hpp"

namespace {

using namespace magpie::detail;
namespace model = magpie::model;
using model::scene;

struct uring_scene : scene {
    // By messages, or by an eventfd, as with older kernels.
    void set_up(bool messages = true) {
        world::takes_messages = messages;
        world::slow_reaper = false;
        scene::set_up();
    }
    // Submits what there is; it may complete already.
    void submit() {
        while (kernel->unsubmitted() != 0) {
            loop->poll();
        }
    }
    void submitted_by_others() {
        while (kernel->unsubmitted() != 0) {
            yield_thread();
        }
    }
};

// The owner sleeps, or is about to, while a thief still thinks that it is stuck, and an operation completes.
struct a_thief_against_sleep : rl::test_suite<a_thief_against_sleep, 4>, uring_scene {
    static constexpr char const* name = "uring_loop: a thief against an owner that goes to sleep";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            rescue_once();
        } else if (index == 2) {
            kernel->arrive(0);
        } else {
            wait_until_over(1);
            stop_the_owner();
        }
    }
    void after() {
        MAGPIE_ASSERT(ended[0] == how::received);
        take_down();
    }
};

// Nothing but wake-ups: what is to end the sleep is itself a completion that a thief may take.
template <bool messages>
struct a_thief_against_a_wake_up : rl::test_suite<a_thief_against_a_wake_up<messages>, 3>, uring_scene {
    static constexpr char const* name = messages ? "uring_loop: a thief against the message that wakes an owner"
                                                 : "uring_loop: a thief against the read that wakes an owner";
    void before() { set_up(messages); }
    void thread(unsigned index) {
        if (index == 0) {
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            rescue_once();
            rescue_once();
        } else {
            loop->unpark();
            stop_the_owner();
        }
    }
    void after() { take_down(); }
};

// A message that came late, for a sleep that has ended otherwise, or a write to the eventfd, whose read is over then: a
// completion is there when the owner goes to sleep. A thief that takes it must not take the next one, too, and the owner
// must not count on that read.
template <bool messages>
struct a_thief_against_a_late_wake_up : rl::test_suite<a_thief_against_a_late_wake_up<messages>, 3>, uring_scene {
    static constexpr char const* name = messages
                                            ? "uring_loop: a thief takes the message that was to wake the owner"
                                            : "uring_loop: a thief takes the end of the read that was to wake the owner";
    void before() {
        set_up(messages);
        world::slow_reaper = true;
    }
    void thread(unsigned index) {
        if (index == 0) {
            loop->park(magpie::time_point{});  // long past
            if (messages) {
                (void)world::send_message(0);
            } else {
                kernel->write_eventfd();
            }
            say_ready();
            for (unsigned delay = rl::rand(32); delay != 0; --delay) {
                yield_thread();
            }
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            wait_until_ready();
            (void)loop->reap();
            kernel->leave_cpu();
        } else {
            wait_until_ready();
            for (unsigned delay = rl::rand(64); delay != 0; --delay) {
                yield_thread();
            }
            stop_the_owner();
        }
    }
    void after() { take_down(); }
};

// The owner never comes back, as far as its operations are concerned: one submitted, one only published.
struct stuck_for_ever : rl::test_suite<stuck_for_ever, 4>, uring_scene {
    static constexpr char const* name = "uring_loop: two thieves for a stuck owner";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            submit();
            begin(1);
            be_stuck_until_over(2);
            kernel->leave_cpu();
        } else if (index == 3) {
            kernel->arrive(0);
            kernel->arrive(1);
        } else {
            rescue_until_over(2);
        }
    }
    void after() {
        MAGPIE_ASSERT(ended[0] == how::received && ended[1] == how::received);
        take_down();
    }
};

// A request, and what is waited for, come together: once, and without the owner.
struct cancelled_while_stuck : rl::test_suite<cancelled_while_stuck, 5>, uring_scene {
    static constexpr char const* name = "uring_loop: a request against a completion, owner stuck";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            submit();
            say_ready();
            be_stuck_until_over(1);
            kernel->leave_cpu();
        } else if (index == 1 || index == 4) {
            rescue_until_over(1);
        } else {
            wait_until_ready();
            if (index == 2) {
                cancel(0);
            } else {
                kernel->arrive(0);
            }
        }
    }
    void after() { take_down(); }
};

// The same, and the owner comes back at any moment, works or sleeps; one operation is submitted, one only published.
struct the_owner_comes_back : rl::test_suite<the_owner_comes_back, 4>, uring_scene {
    static constexpr char const* name = "uring_loop: a thief against an owner that comes back";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            loop->poll();
            begin(1);
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            rescue_once();
            rescue_once();
        } else if (index == 2) {
            cancel(0);
        } else {
            kernel->arrive(0);
            kernel->arrive(1);
            wait_until_over(2);
            stop_the_owner();
        }
    }
    void after() {
        MAGPIE_ASSERT(ended[1] == how::received);
        take_down();
    }
};

// Nothing arrives: the request alone must end the wait, whoever takes its message and wherever the operation is.
struct a_request_against_sleep : rl::test_suite<a_request_against_sleep, 4>, uring_scene {
    static constexpr char const* name = "uring_loop: a request against an owner that goes to sleep";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            rescue_once();
        } else if (index == 2) {
            cancel(0);
        } else {
            wait_until_over(1);
            stop_the_owner();
        }
    }
    void after() {
        MAGPIE_ASSERT(ended[0] == how::cancelled);
        take_down();
    }
};

// More completions than the queue has places, none of them the owner's to take.
struct overflow_while_stuck : rl::test_suite<overflow_while_stuck, 4>, uring_scene {
    static constexpr char const* name = "uring_loop: overflow, owner stuck";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0, ring::multishot_length);
            be_stuck_until_over(1);
            kernel->leave_cpu();
        } else if (index == 3) {
            kernel->arrive(0);
        } else {
            rescue_until_over(1);
        }
    }
    void after() { take_down(); }
};

// One operation more than there is room for: it begins when others have made room, also if a thief has.
struct no_room : rl::test_suite<no_room, 3>, uring_scene {
    static constexpr char const* name = "uring_loop: an operation without room";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            begin(1);
            begin(2);
            MAGPIE_ASSERT(loop->times_without_room() == 1);
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            rescue_once();
        } else {
            kernel->arrive(2);
            kernel->arrive(0);
            kernel->arrive(1);
            wait_until_over(3);
            stop_the_owner();
        }
    }
    void after() {
        MAGPIE_ASSERT(ended[2] == how::received);
        take_down();
    }
};

// A thief that has submitted the owner's operation computes for ever: to the kernel the operation is that thief's. The
// stall monitor kicks (stall_monitor::kick_if_held_back()).
template <bool Kicks>
struct a_thief_that_computes : rl::test_suite<a_thief_that_computes<Kicks>, 3>, uring_scene {
    static constexpr char const* name =
        Kicks ? "uring_loop: a thief that has submitted, and computes" : "uring_loop: the same, and nobody kicks it";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            submitted_by_others();
            sleep_until_stopped();
            kernel->leave_cpu();
        } else if (index == 1) {
            while (kernel->unsubmitted() == 0) {
                yield_thread();
            }
            (void)loop->take_over();
            say_ready();
            wait_until_over(1);
            kernel->leave_cpu();
        } else {
            wait_until_ready();
            kernel->arrive(0);
            while (!is_over(1)) {
                if (Kicks && loop->holds_back()) {
                    (void)kick();
                }
                yield_thread();
            }
            stop_the_owner();
        }
    }
    void after() { take_down(); }
};

}  // namespace

int main() {
    constexpr rl::iteration_t iterations = 5'000;
    bool const can_fail = model::is_found<a_thief_that_computes<false>>(iterations);
    int const status =
        model::check_in({"uring_loop.hpp", "uring_loop.cpp", "uring_take_over.cpp", "event_loop.hpp", "event_loop.cpp",
                         "op_inbox.hpp", "wakeup.hpp", "wakeup.cpp", "op_base.hpp", "op.cpp"},
                        {
                            {"uring_loop::reap_all", "acquire"},    // the fence behind it is one too
                            {"uring_loop::park", "acquire"},        // few interleavings miss it, too few to count on
                            {"wake_read::", "acquire"},             // of what the kernel wrote, which the kernel orders
                            {"wake_read::", "release"},             // the same
                            {"wakeup::prepare_sleep", "acq_rel"},   // from awake, which the owner itself has written
                            {"op_base::reaped", "acq_rel", true},   // of a cancel entry: the reap lock has orders of its own
                            {"op_base::try_cancel", "acq_rel"},     // the inbox that follows has orders of its own
                            {"op_base::is_done", "acquire"},        // end_cancel() follows wherever it matters
                            {"buffers_are_back", "acquire"},        // no buffers in these scenarios
                        },
                        model::scenarios<a_thief_against_sleep, a_thief_against_a_wake_up<true>,
                                         a_thief_against_a_wake_up<false>, a_thief_against_a_late_wake_up<true>,
                                         a_thief_against_a_late_wake_up<false>, stuck_for_ever,
                                         cancelled_while_stuck, the_owner_comes_back, a_request_against_sleep,
                                         overflow_while_stuck, no_room, a_thief_that_computes<true>>{},
                        iterations);
    return can_fail ? status : 1;
}
