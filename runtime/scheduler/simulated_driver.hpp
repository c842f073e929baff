#pragma once

#include <magpie/runtime/driver.hpp>

#include <condition_variable>
#include <mutex>

namespace magpie::detail {

// The event loop of the simulated clock: no files, no sockets, no sleeping for time to pass. It parks only for foreign
// threads, and then in real time.
class simulated_driver final : public driver {
public:
    void poll() override {}
    void park(time_point) override {
        std::unique_lock lock(mutex_);
        woken_.wait(lock, [this] { return unparked_; });
        unparked_ = false;
    }
    void unpark() noexcept override {
        std::lock_guard const lock(mutex_);
        unparked_ = true;
        woken_.notify_one();
    }
    bool has_work() const noexcept override { return false; }
    std::size_t reap() noexcept override { return 0; }
    std::size_t in_flight() const noexcept override { return 0; }
    std::uint64_t completions() const noexcept override { return 0; }
    char const* name() const noexcept override { return "simulated"; }

private:
    std::mutex mutex_;
    std::condition_variable woken_;
    bool unparked_ = false;
};

} // namespace magpie::detail
