#pragma once

// A stream that gives and takes its bytes in parts of sizes that the test chooses. No kernel, no waiting: it runs under
// the simulated clock.

#include <magpie/io/result.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace magpie::tests {

class scripted_stream {
public:
    // The bytes to be read, and the sizes of the parts they come in (the last one goes on); then the end, or an error.
    explicit scripted_stream(std::string bytes = {}, std::deque<std::size_t> parts = {1})
        : incoming_(std::move(bytes)), parts_(std::move(parts)) {}

    void fail_at_end(std::errc error) { error_ = std::make_error_code(error); }
    // Every operation suspends its task for a second of virtual time, during which it can be cancelled.
    void be_slow() { slow_ = true; }
    // Takes no more than this many bytes in all, then fails.
    void accept_only(std::size_t bytes) { room_ = bytes; }

    std::string const& written() const { return written_; }
    int reads() const { return reads_; }
    int writes() const { return writes_; }

    task<io::result<std::size_t>> read(std::span<std::byte> to) {
        ++reads_;
        if (slow_) {
            co_await sleep(std::chrono::seconds{1});
        }
        std::size_t const count = std::min({to.size(), incoming_.size(), next_part()});
        if (count == 0 && error_) {
            co_return io::failure(error_);
        }
        std::memcpy(to.data(), incoming_.data(), count);
        incoming_.erase(0, count);
        co_return count;
    }

    task<io::result<std::size_t>> write(io::const_buffer from) {
        ++writes_;
        if (slow_) {
            co_await sleep(std::chrono::seconds{1});
        }
        std::size_t const count = std::min({from.size(), next_part(), room_});
        if (count == 0 && !from.empty()) {
            co_return io::failure(std::errc::broken_pipe);
        }
        written_.append(reinterpret_cast<char const*>(from.data()), count);
        room_ -= count;
        co_return count;
    }

private:
    std::size_t next_part() {
        std::size_t const part = parts_.front();
        if (parts_.size() > 1) {
            parts_.pop_front();
        }
        return part;
    }

    std::string incoming_;
    std::deque<std::size_t> parts_;
    std::error_code error_;
    std::size_t room_ = static_cast<std::size_t>(-1);
    bool slow_ = false;
    std::string written_;
    int reads_ = 0;
    int writes_ = 0;
};

// The same, and it takes several parts at once.
class scripted_gathering_stream : public scripted_stream {
public:
    using scripted_stream::scripted_stream;
    using scripted_stream::write;
    task<io::result<std::size_t>> write(std::span<io::const_buffer const> parts) {
        most_parts_ = std::max(most_parts_, parts.size());
        std::string joined;
        for (io::const_buffer const part : parts) {
            joined.append(reinterpret_cast<char const*>(part.data()), part.size());
        }
        co_return co_await write(io::as_bytes(joined));
    }
    std::size_t most_parts() const { return most_parts_; }

private:
    std::size_t most_parts_ = 0;
};

}  // namespace magpie::tests
