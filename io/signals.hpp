#pragma once

#include <magpie/io/op.hpp>
#include <magpie/io/result.hpp>
#include <magpie/runtime/task.hpp>

#include <cstdint>
#include <initializer_list>
#include <utility>

namespace magpie::detail {
struct signal_slot;
}

namespace magpie::io {

// Takes the next signal of a stream.
class as_signal {
public:
    explicit as_signal(detail::signal_slot& from) noexcept : from_(&from) {}
    int prepare(request& r) noexcept;
    result<int> operator()(completed const& end) noexcept;

private:
    detail::signal_slot* from_;
    std::uint64_t value_ = 0;
};

// The signals that the process gets, as a stream: `io::signal_stream stop({SIGTERM, SIGINT});` and then
// `auto number = co_await stop.next();`. While it lives, the signals have no other effect; when the last stream for one
// is gone, the signal does again what it did before. Several streams may want the same signal: each gets it. A signal
// that comes again before the first was taken counts once. Any thread; move-only; must outlive its next().
//
// The constructor throws std::invalid_argument for what is no signal, or one that cannot be put off (SIGKILL, SIGSTOP,
// SIGSEGV and its like), limit_exceeded if 32 streams live, and std::system_error.
class signal_stream {
public:
    explicit signal_stream(std::initializer_list<int> signals);
    signal_stream(signal_stream&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    signal_stream& operator=(signal_stream&&) = delete;
    ~signal_stream();

    // Waits for a signal: its number. A signal that came before counts.
    task<result<int>> next();

private:
    detail::signal_slot* slot_;
};

}  // namespace magpie::io
