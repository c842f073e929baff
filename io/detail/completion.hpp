#pragma once

#include <magpie/runtime/detail/intrusive_list.hpp>

#include <cstdint>

namespace magpie::detail {

// What a completion queue entry leads to: the event loop knows no operation by name. Lies where the operation's state
// lies and stays there until everything it was promised to has come.
//
// The address is a multiple of 8; the three bits left over in the kernel's 64-bit tag say on which channel an entry
// belongs, so that one operation can have several entries of different meaning in flight: itself, its cancellation.
class alignas(8) completion {
public:
    static constexpr unsigned channels = 8;

    completion() = default;
    completion(completion const&) = delete;
    completion& operator=(completion const&) = delete;

    // An entry was taken off the queue. Called under the loop's reap lock, on any thread: copies what it needs; no
    // system call, no allocation, no wake-up. True: completed() is to be called once the lock is free.
    virtual bool reaped(unsigned channel, std::int32_t result, std::uint32_t flags) noexcept = 0;
    // Called once for each true of reaped(), by the same thread, under no lock. The object may be gone afterwards.
    virtual void completed() noexcept = 0;

    // For whoever holds the operation: a loop's list of those that wait, or a batch of those that were reaped.
    list_hook hook;

protected:
    ~completion() = default;
};

using completion_list = intrusive_list<completion, &completion::hook>;

}  // namespace magpie::detail
