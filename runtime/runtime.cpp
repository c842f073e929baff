// The composition root: the one place that knows both the workers and the event loops they sleep in.

#include <magpie/runtime/runtime.hpp>

#include <magpie/io/loop/make_loop.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/scheduler/config_keys.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/simulated_driver.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace magpie {

namespace {

std::unique_ptr<driver> make_driver(config const& settings, unsigned index) {
    if (settings.clock == clock_kind::simulated) {
        return std::make_unique<detail::simulated_driver>();
    }
    return io::make_loop(settings, index);
}

// While it lives, SIGINT interrupts the given wait; a second one has its default effect, and kills. Does nothing if
// the program has a handler of its own or ignores the signal.
class sigint_scope {
public:
    explicit sigint_scope(detail::outside_wait& wait) {
        struct sigaction present {};
        sigaction(SIGINT, nullptr, &present);
        if ((present.sa_flags & SA_SIGINFO) != 0 || present.sa_handler != SIG_DFL) {
            return;
        }
        detail::outside_wait* nobody = nullptr;
        if (!target_.compare_exchange_strong(nobody, &wait)) {
            return;  // another run() in this process has it
        }
        struct sigaction ours {};
        ours.sa_handler = &on_signal;
        ours.sa_flags = static_cast<int>(SA_RESETHAND);
        sigemptyset(&ours.sa_mask);
        sigaction(SIGINT, &ours, nullptr);
        installed_ = true;
    }
    sigint_scope(sigint_scope const&) = delete;
    sigint_scope& operator=(sigint_scope const&) = delete;
    ~sigint_scope() {
        if (!installed_) {
            return;
        }
        struct sigaction present {};
        sigaction(SIGINT, nullptr, &present);
        if (present.sa_handler == &on_signal) {  // else it has fired, or the program put its own there meanwhile
            signal(SIGINT, SIG_DFL);
        }
        target_.store(nullptr);
        while (inside_.load() != 0) {  // a handler on another thread still holds the wait
            detail::yield_thread();
        }
    }

private:
    static void on_signal(int) {
        int const saved = errno;
        inside_.fetch_add(1);
        if (detail::outside_wait* const wait = target_.load()) {
            wait->interrupt();
        }
        inside_.fetch_sub(1);
        errno = saved;
    }
    static inline detail::atomic<detail::outside_wait*> target_{nullptr};
    static inline detail::atomic<int> inside_{0};
    bool installed_ = false;
};

void name_survivors(std::vector<task_info> const& survivors) {
    std::fprintf(stderr, "magpie: shutdown waits for %zu task(s):\n", survivors.size());
    constexpr std::size_t most = 10;
    for (std::size_t i = 0; i < survivors.size() && i < most; ++i) {
        task_info const& each = survivors[i];
        std::fprintf(stderr, "  %s (spawned at %s:%u) %s%s\n", each.name.c_str(), each.where.file_name(),
                     static_cast<unsigned>(each.where.line()),
                     each.awaits.empty() ? "runs or waits where it cannot be cancelled" : "waits for ",
                     each.awaits.c_str());
    }
}

// Waits until no task is left. False: those that are will never end.
bool drain_or_name(detail::scheduler& shared) {
    while (!shared.drain(std::chrono::steady_clock::now() + std::chrono::seconds{1})) {
        name_survivors(shared.tasks());
        if (shared.simulated()) {
            return false;  // no time will pass that could help
        }
    }
    return true;
}

} // namespace

runtime::runtime(config settings) {
    settings.validate();
    shared_ = std::make_unique<detail::scheduler>(std::move(settings), &make_driver);
}

runtime::~runtime() {
    shared_->refuse_spawns();
    shared_->cancel_all();
    if (drain_or_name(*shared_)) {
        shared_->leave();
        (void)drain_or_name(*shared_);  // what on_done() has brought in between
    }
}

shutdown_report runtime::shutdown(duration grace) {
    refuse_on_worker();
    shared_->refuse_spawns();
    shared_->cancel_all();
    shutdown_report report;
    auto const start = std::chrono::steady_clock::now();
    auto const until = grace > std::chrono::steady_clock::time_point::max() - start
                           ? std::chrono::steady_clock::time_point::max()
                           : start + grace;
    if (!shared_->drain(until)) {
        report.survivors = shared_->tasks();
    }
    return report;
}

void runtime::refuse_on_worker() {
    if (detail::current_worker() != nullptr) {
        throw usage_error("run(), block_on() and shutdown() block their thread, and were called on a worker; co_await "
                          "the task instead");
    }
}

struct runtime::main_wait::state {
    detail::outside_wait wait;
    std::optional<sigint_scope> sigint;
};

runtime::main_wait::main_wait(signals policy) : state_(std::make_unique<state>()) {
    if (policy == signals::handle) {
        state_->sigint.emplace(state_->wait);
    }
}

runtime::main_wait::~main_wait() = default;

void runtime::main_wait::until_end_of(detail::spawned_base& task, detail::scheduler& shared) {
    bool was_interrupted = false;
    shared.wait_for(task, state_->wait, [&] {
        // Somebody else's request came first: then the task ends as cancelled, not as interrupted.
        bool const first = task.cancel_count() == 0;
        was_interrupted = task.request_cancel(detail::request_origin::external) && first;
    });
    if (was_interrupted && task.ended_cancelled()) {
        throw interrupted();
    }
}

void runtime::post(std::move_only_function<void()> fn) {
    if (shared_->refusing_spawns()) {
        throw usage_error("post() was called on a runtime that is shutting down; the function was not run");
    }
    shared_->post(std::make_unique<detail::posted>(std::move(fn), "a posted function threw"));
}

unsigned runtime::workers() const noexcept {
    return shared_->size();
}

metrics runtime::snapshot() const {
    return shared_->snapshot();
}

std::vector<task_info> runtime::tasks() {
    return shared_->tasks();
}

config const& runtime::settings() const noexcept {
    return shared_->settings();
}

namespace {

// Of two reloads at once the later one reads the file after the earlier one has applied it.
std::mutex& one_reload_at_a_time() {
    static std::mutex mutex;
    return mutex;
}

}  // namespace

reload_report runtime::reload() {
    std::lock_guard const lock(one_reload_at_a_time());
    config const& present = shared_->settings();
    std::string const file = present.file();
    if (file.empty()) {
        throw usage_error("reload() has no file to read: the runtime's settings came from none; load them with "
                          "config::load(), or give reload() the new ones");
    }
    config fresh = config::load(file);
    detail::keep_what_code_set(present, fresh);
    return apply(fresh);
}

reload_report runtime::reload(config const& fresh) {
    std::lock_guard const lock(one_reload_at_a_time());
    return apply(fresh);
}

reload_report runtime::apply(config const& fresh) {
    fresh.validate();
    reload_report report;
    report.needs_restart = detail::differing_keys(shared_->settings(), fresh);
    report.limits = shared_->limits().apply(fresh.limits);
    return report;
}

namespace {

detail::external_drive& required_drive(detail::scheduler& shared) {
    if (shared.external() == nullptr) {
        throw usage_error("driver_fd() and run_ready() are for a runtime made with config.drive = magpie::external");
    }
    return *shared.external();
}

} // namespace

int runtime::driver_fd() const {
    return required_drive(*shared_).fd();
}

std::size_t runtime::run_ready(std::size_t budget) {
    required_drive(*shared_);
    refuse_on_worker();
    return shared_->run_ready(budget);
}

char const* runtime::backend() const noexcept {
    return shared_->at(0).loop().name();
}

} // namespace magpie
