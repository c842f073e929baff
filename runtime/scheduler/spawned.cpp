#include <magpie/runtime/detail/spawned.hpp>

#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/detail/task_extras.hpp>
#include <magpie/runtime/detail/task_locals.hpp>
#include <magpie/runtime/scheduler/live_schedulers.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/tell_hook.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <typeinfo>
#include <utility>

namespace magpie::detail {

bool is_cancellation(std::exception_ptr const& error) noexcept {
    if (error == nullptr) {
        return false;
    }
#if defined(__GLIBCXX__)
    std::type_info const* const type = error.__cxa_exception_type();
    return type != nullptr && *type == typeid(task_cancelled);
#else
    try {
        std::rethrow_exception(error);
    } catch (task_cancelled const&) {
        return true;
    } catch (...) {
        return false;
    }
#endif
}

void spawned_base::drop(std::uint64_t what, std::shared_ptr<hooks const> const& told) noexcept {
    // If these are all that there are, nobody else can take or drop one, and it need not be written down.
    // acquire, acq_rel: pair with the other drops; the last one sees everything the others did to the block.
    if (counts_.load(mo_acquire) == what || counts_.fetch_sub(what, mo_acq_rel) == what) {
        report_if_unseen(told);
        destroy();
    }
}

bool spawned_base::watch(watcher& by) noexcept {
    return watch_unless(by, false);
}

bool spawned_base::watch_unless(watcher& by, bool const& left) noexcept {
    std::lock_guard const lock(lock_);
    if (left || ended_.load(mo_relaxed)) {
        return false;
    }
    watchers_.push_back(&by);
    return true;
}

spawned_base::watch_result spawned_base::watch_and_suspend(watcher& by, waiter& w) noexcept {
    std::lock_guard const lock(lock_);
    if (ended_.load(mo_relaxed)) {
        return watch_result::ended;
    }
    if (!w.context->suspend(w)) {
        return watch_result::refused;
    }
    watchers_.push_back(&by);
    return watch_result::watching;
}

bool spawned_base::unwatch(watcher& by) noexcept {
    std::lock_guard const lock(lock_);
    if (!watchers_.linked(&by)) {
        return false;
    }
    watchers_.erase(&by);
    return true;
}

bool spawned_base::leave(watcher& by, bool& left) noexcept {
    std::lock_guard const lock(lock_);
    left = true;
    if (!watchers_.linked(&by)) {
        return false;
    }
    watchers_.erase(&by);
    return true;
}

spawned_base::~spawned_base() {
    while (callbacks_ != nullptr) {  // of a task that was never started
        delete std::exchange(callbacks_, callbacks_->next);
    }
}

void spawned_base::on_end(std::move_only_function<void()> fn) {
    auto callback = std::make_unique<posted>(std::move(fn), "an on_done callback threw");
    {
        std::lock_guard const lock(lock_);
        if (!ended_.load(mo_relaxed)) {
            callback->next = callbacks_;
            callbacks_ = callback.release();
            return;
        }
    }
    if (!live_schedulers::with(runtime_serial, [&](scheduler& shared) { shared.post(std::move(callback)); })) {
        throw usage_error("on_done() was called on a task whose runtime is gone; the function was not run");
    }
}

// The oldest first.
void spawned_base::post_callbacks(scheduler& shared) noexcept {
    posted* oldest = nullptr;
    while (callbacks_ != nullptr) {
        posted* const each = std::exchange(callbacks_, callbacks_->next);
        each->next = std::exchange(oldest, each);
    }
    while (oldest != nullptr) {
        shared.post(std::unique_ptr<posted>(std::exchange(oldest, oldest->next)));
    }
}

void spawned_base::end() noexcept {
    mark_finished();
    scheduler& shared = home->shared();
    if (!has_started()) {
        shared.count_unstarted(*this);  // before anybody knows of the end, and looks at the counts
    }
    {
        std::lock_guard const lock(lock_);
        ended_.store(true, mo_release);  // pairs with the acquire in ended()
        while (watcher* const each = watchers_.pop_front()) {
            each->task_ended(*this);
        }
        if (callbacks_ != nullptr) [[unlikely]] {
            post_callbacks(shared);
        }
    }
    if (owner != nullptr) {
        owner->child_ended(*this);
    } else if (handle_count() == 0) {
        report_if_unseen(shared.shared_hooks());
    }
    // From here on the runtime may go, before the last handle does.
    std::shared_ptr<hooks const> told;
    if (owner == nullptr && !looked_at_.load(mo_relaxed) && error() != nullptr) {
        told = shared.shared_hooks();
    }
    shared.dismiss(*this);
    drop(one_reference, told);
}

void spawned_base::report_if_unseen(std::shared_ptr<hooks const> const& told) noexcept {
    if (looked_at_.load(mo_relaxed) || owner != nullptr || reported_.exchange(true, mo_relaxed)) {
        return;
    }
    if (std::exception_ptr const failed = error()) {
        report_of_task(*this, failed, "a task ended with an error that nobody awaits", told);
    }
}

void report_of_task(spawned_base& task, std::exception_ptr error, std::string_view what,
                    std::shared_ptr<hooks const> told) noexcept {
    event_info info;
    info.error = std::move(error);
    info.id = task.id;
    info.context = what;
    info.where = task.where;
    try {
        locals_scope const as_task(task.locals);
        std::string const name = name_of(task);
        info.name = name;
        live_schedulers::with(task.runtime_serial, [&](scheduler& shared) {
            told = shared.shared_hooks();
            info.age = shared.now() - task.born;
        });
        tell(told != nullptr ? told->on_unhandled : hook{}, info);
    } catch (...) {
        tell({}, {.error = info.error, .context = what});
    }
}

} // namespace magpie::detail
