// The spare worker: lent when all workers are stuck in a task each, as Go's sysmon would start another thread.
//
//   none    --lend()-->                                       lent      made with its own event loop, which may fail
//   lent    --nothing to do, or stop_lending()-->             resting   hands over what is ready, and sleeps in its loop
//   resting --lend()-->                                       lent
//   resting --its own completion or timer-->                  resting   hands over the tasks that became ready
//
// A resting spare runs no task. What its tasks began on its loop still completes there; the tasks then go on elsewhere,
// and so do their next operations. It is never pinned to, never in the idle set, and looked after by the monitor like
// the others.

#include <magpie/runtime/scheduler/scheduler.hpp>

#include <magpie/runtime/scheduler/thread_state.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <pthread.h>

#include <exception>
#include <memory>
#include <utility>

namespace magpie::detail {

void scheduler::lend() noexcept {
    if (!settings_.spare_worker || !settings_.steal || size() < 2 || stopping()) {
        return;
    }
    if (lending_failed_ != 0) {
        --lending_failed_;
        return;
    }
    try {
        if (spare_owner_ == nullptr) {
            spare_owner_ = std::make_unique<worker>(*this, size(), make_driver_(settings_, size()));
            spare_.store(spare_owner_.get(), mo_release);  // pairs with the acquire in spare()
        }
        if (!spare_thread_.joinable()) {
            spare_thread_ = std::thread([this] {
                pthread_setname_np(pthread_self(), (settings_.name + "/spare").substr(0, 15).c_str());
                set_frame_limit(settings_.frame_cache);
                spare_owner_->run_as_spare(stopping_);
                spare_owner_->loop().retire();
            });
        }
    } catch (std::exception const&) {
        lending_failed_ = 1000;  // no descriptor, no memory or no thread just now: tried again so many looks later
        return;
    }
    spare_owner_->set_lent(true);
}

worker& scheduler::home_for(worker& here) noexcept {
    return here.index() < size() ? here : *workers_[next_home_.fetch_add(1, mo_relaxed) % size()];
}

void scheduler::stop_lending() noexcept {
    if (spare_owner_ != nullptr) {
        spare_owner_->set_lent(false);
    }
}

void worker::set_lent(bool lent) noexcept {
    if (lent_.exchange(lent, mo_acq_rel) != lent && lent) {  // pairs with the acquire in run_as_spare()
        loop_->unpark();
    }
}

void worker::run_as_spare(atomic<bool> const& stop) {
    on_worker const scope(*this);
    while (!stop.load(mo_acquire)) {  // pairs with the release of whoever sets it
        if (lent_.load(mo_acquire)) {  // pairs with set_lent()
            if (work_item* const item = take_as_spare()) {
                turn(*item);
                continue;
            }
            lent_.store(false, mo_release);  // pairs with set_lent()
        }
        look_around();
        hand_over();
        if (!lent_.load(mo_acquire) && !stop.load(mo_acquire)) {
            loop_->park(next_deadline());
        }
    }
}

work_item* worker::take_as_spare() noexcept {
    if (work_item* const item = take()) {
        return item;
    }
    look_around();  // takes over what is stranded, and takes in what was injected
    if (work_item* const item = take()) {
        return item;
    }
    work_item* const stolen = steal_from_others(0);
    if (stolen != nullptr && !run_queue_.empty()) {
        shared_.wake_one();  // no searcher, it moved work past those who looked
    }
    return stolen;
}

void worker::hand_over() noexcept {
    intrusive_queue<work_item> ready;
    for (work_item* item = pop_fork(); item != nullptr; item = pop_fork()) {
        ready.push_back(item);
    }
    for (work_item* item = take_queued(); item != nullptr; item = take_queued()) {
        ready.push_back(item);
    }
    if (!ready.empty()) {
        (void)shared_.injected.push_batch(std::move(ready));  // never closed: what is queued runs
        shared_.wake_one();
    }
}

}  // namespace magpie::detail
