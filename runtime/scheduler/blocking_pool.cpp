#include <magpie/runtime/scheduler/blocking_pool.hpp>

#include <pthread.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

namespace magpie::detail {

namespace {
constexpr auto idle_life = std::chrono::seconds{10};
}

blocking_pool::blocking_pool(unsigned max_threads, std::string name, std::function<void()> after_each)
    : max_threads_(max_threads), name_(std::move(name)), after_each_(std::move(after_each)) {}

blocking_pool::~blocking_pool() {
    std::unique_lock lock(mutex_);
    closing_ = true;
    work_.notify_all();
    gone_.wait(lock, [this] { return threads_ == 0; });
}

void blocking_pool::submit(blocking_call& call) {
    std::lock_guard const lock(mutex_);
    if (queued_ >= idle_ && threads_ < max_threads_) {
        try {
            start_thread();
        } catch (std::system_error const&) {
            if (threads_ == 0) {
                throw;  // nobody would ever run it
            }
        }
    }
    call.next = nullptr;
    *tail_ = &call;
    tail_ = &call.next;
    ++queued_;
    work_.notify_one();
}

blocking_pool::counts blocking_pool::look() const {
    std::lock_guard const lock(mutex_);
    return {.threads = threads_, .busy = threads_ - idle_, .queued = queued_};
}

void blocking_pool::start_thread() {
    std::thread([this] { serve(); }).detach();  // the destructor waits for threads_ to reach 0
    ++threads_;
    ++idle_;
}

void blocking_pool::serve() {
    pthread_setname_np(pthread_self(), (name_ + "/block").substr(0, 15).c_str());
    std::unique_lock lock(mutex_);
    for (;;) {
        bool const woken = work_.wait_for(lock, idle_life, [this] { return queued_ != 0 || closing_; });
        if (queued_ == 0) {
            if (closing_ || !woken) {
                break;
            }
            continue;
        }
        blocking_call* const call = head_;
        head_ = call->next;
        if (head_ == nullptr) {
            tail_ = &head_;
        }
        --queued_;
        --idle_;
        lock.unlock();
        call->run();
        after_each_();
        lock.lock();
        ++idle_;
    }
    --idle_;
    --threads_;
    // Notified under the lock: once the destructor sees 0 the pool is gone.
    gone_.notify_all();
}

} // namespace magpie::detail
