// The loop over epoll while its owner works, sleeps, or is stuck in a task, and others make its rounds. The code under test
// is the library's own; only the system calls are the model's (support/little_epoll.hpp), and the mutex is Relacy's.
//
// All that the loop shares lies under its lock, so that but for the wake-up there is no order to take away. Instead the
// model is built with a mistake:
// must-fail-with: MAGPIE_MODEL_WAKE_UP_NOT_EATEN

#include "support/little_epoll.hpp"

#include <string>
#include <vector>

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

namespace std {

class model_mutex {
public:
    void lock() { mutex_.lock(RL_INFO); }
    bool try_lock() { return mutex_.try_lock(RL_INFO); }
    void unlock() { mutex_.unlock(RL_INFO); }

private:
    rl::mutex mutex_;
};

}  // namespace std

static int model_eventfd(unsigned, int) {
    return magpie::detail::little_epoll::eventfd_descriptor;
}
static long model_write(int, void const*, std::size_t) {
    magpie::detail::little_epoll::only->write_eventfd();
    return 8;
}
static long model_read(int, void*, std::size_t) {
#if !defined(MAGPIE_MODEL_WAKE_UP_NOT_EATEN)
    magpie::detail::little_epoll::only->read_eventfd();
#endif
    return 8;
}
static int model_epoll_create1(int) {
    return magpie::detail::little_epoll::create();
}
static int model_epoll_ctl(int, int, int fd, epoll_event*) {
    return magpie::detail::little_epoll::only->control(fd);
}
static int model_epoll_wait(int, epoll_event* events, int, int timeout) {
    return magpie::detail::little_epoll::only->wait(events, timeout);
}
static int model_epoll_pwait2(int, epoll_event* events, int, timespec const*, void const*) {
    return magpie::detail::little_epoll::only->wait(events, 0);  // time passes at once
}
// No rings here to send messages to.
extern "C" int io_uring_register(unsigned, unsigned, void const*, unsigned) {
    return -22;
}
extern "C" int poll(pollfd*, nfds_t, int) {
    return magpie::detail::little_epoll::only->poll();
}

// The library's own code, in one translation unit, with the model's system calls.
#define mutex model_mutex
#include <magpie/io/loop/poll_loop.hpp>
#undef mutex
#include <magpie/io/loop/uring_loop.hpp>
#define eventfd model_eventfd
#define write model_write
#include <magpie/io/loop/wakeup.cpp>
#undef eventfd
#undef write
#include <magpie/io/loop/buffer_pool.cpp>
#define read model_read
#define epoll_create1 model_epoll_create1
#define epoll_ctl model_epoll_ctl
#define epoll_wait model_epoll_wait
#define epoll_pwait2 model_epoll_pwait2
#include <magpie/io/loop/poll_loop.cpp>
#undef read
#define op_of op_of_the_event_loop
#define uring_loop poll_loop  // the usual loop is this one
#include <magpie/io/loop/event_loop.cpp>
#undef uring_loop
#undef op_of
#include <magpie/io/op.cpp>
#include <magpie/runtime/scheduler/task_context.cpp>

namespace magpie::detail {

using loop_under_test = poll_loop;
using world = little_epoll;

}  // namespace magpie::detail

#include "support/io_scene.hpp"

namespace magpie::detail {

poll_syscall const& poll_syscall_for(op_base&) noexcept {
    static constexpr poll_syscall reads{
        [](op_base& op) noexcept {
            auto& buffer = *reinterpret_cast<guarded<int>*>(op.request().address);
            return little_epoll::only->read(op.request().fd, buffer);
        },
        op_base::place::reading};
    return reads;
}
bool waits_for_both(op_base&) noexcept {
    return false;
}

}  // namespace magpie::detail

namespace {

using namespace magpie::detail;
namespace model = magpie::model;
using model::scene;

// The owner sleeps, or is about to, while a thief still thinks that it is stuck, and a descriptor becomes ready.
struct a_thief_against_sleep : rl::test_suite<a_thief_against_sleep, 4>, scene {
    static constexpr char const* name = "poll_loop: a thief against an owner that goes to sleep";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            sleep_until_stopped();
        } else if (index == 1) {
            rescue_once();
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

// Nothing but wake-ups, one of them late.
struct a_thief_against_a_wake_up : rl::test_suite<a_thief_against_a_wake_up, 3>, scene {
    static constexpr char const* name = "poll_loop: a thief against the wake-up of an owner";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            sleep_until_stopped();
        } else if (index == 1) {
            rescue_once();
            rescue_once();
        } else {
            loop->unpark();
            kernel->write_eventfd();
            stop_the_owner();
        }
    }
    void after() {
        loop->poll();
        loop->poll();
        MAGPIE_ASSERT(kernel->poll() == 0);  // eaten, or all sleeps from now on would end at once
        take_down();
    }
};

struct stuck_for_ever : rl::test_suite<stuck_for_ever, 4>, scene {
    static constexpr char const* name = "poll_loop: two thieves for a stuck owner";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            begin(1);
            be_stuck_until_over(2);
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

struct cancelled_while_stuck : rl::test_suite<cancelled_while_stuck, 4>, scene {
    static constexpr char const* name = "poll_loop: a request against a ready descriptor, owner stuck";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            be_stuck_until_over(1);
        } else if (index == 1) {
            rescue_until_over(1);
        } else if (index == 2) {
            cancel(0);
        } else {
            kernel->arrive(0);
        }
    }
    void after() { take_down(); }
};

struct a_request_against_sleep : rl::test_suite<a_request_against_sleep, 4>, scene {
    static constexpr char const* name = "poll_loop: a request against an owner that goes to sleep";
    void before() { set_up(); }
    void thread(unsigned index) {
        if (index == 0) {
            begin(0);
            sleep_until_stopped();
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

}  // namespace

int main() {
    constexpr rl::iteration_t iterations = 5'000;
    return model::check_in({"wakeup.hpp", "wakeup.cpp"}, {{"wakeup::prepare_sleep", "acq_rel"}},
                           model::scenarios<a_thief_against_sleep, a_thief_against_a_wake_up, stuck_for_ever,
                                            cancelled_while_stuck, a_request_against_sleep>{},
                           iterations);
}
