#pragma once

#include <magpie/runtime/detail/blocking.hpp>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

namespace magpie::detail {

// Threads for calls that block. They are made when a call finds none free, up to a bound; further calls wait, first
// come first served; a thread that has had nothing to do for a while ends. No pool thread is ever a worker.
class blocking_pool {
public:
    struct counts {
        std::size_t threads = 0;
        std::size_t busy = 0;
        std::size_t queued = 0;
    };

    // `after_each` is called on the pool's thread after each call has run.
    blocking_pool(unsigned max_threads, std::string name, std::function<void()> after_each);
    blocking_pool(blocking_pool const&) = delete;
    blocking_pool& operator=(blocking_pool const&) = delete;
    // Runs what was submitted to its end.
    ~blocking_pool();

    // Any thread. Throws std::system_error if the first thread cannot be made.
    void submit(blocking_call& call);
    counts look() const;

private:
    void serve();
    void start_thread();

    mutable std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable gone_;
    blocking_call* head_ = nullptr;
    blocking_call** tail_ = &head_;
    std::size_t queued_ = 0;
    std::size_t threads_ = 0;
    std::size_t idle_ = 0;
    bool closing_ = false;
    unsigned max_threads_;
    std::string name_;
    std::function<void()> after_each_;
};

} // namespace magpie::detail
