#pragma once

#include <magpie/io/errors.hpp>
#include <magpie/io/result.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/task.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace magpie::io {

// Reads from a stream in large parts and hands out small ones; what has come and was not asked for yet is kept for the
// next call, also when a call fails or is cancelled: then nothing is consumed. The stream must outlive it. One task at
// a time. The memory is taken at the first read.
template <byte_source Stream>
class buffered_reader {
public:
    // `capacity` is the most that is kept, and so the longest line or record that can be asked for.
    explicit buffered_reader(Stream& stream, std::size_t capacity = std::size_t{16} * 1024) noexcept
        : stream_(&stream), capacity_(capacity) {}

    // What is here. Valid until the next call that reads.
    std::span<std::byte const> available() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
    std::string_view available_text() const noexcept {
        return {reinterpret_cast<char const*>(memory_.get()) + begin_, end_ - begin_};
    }
    // Drops the first bytes of what is here; at most all of them.
    void consume(std::size_t bytes) noexcept {
        MAGPIE_ASSERT(bytes <= end_ - begin_);
        begin_ += bytes;
        if (begin_ == end_) {
            begin_ = end_ = 0;
        }
    }
    // The stream has ended; what is here may still be read.
    bool at_end() const noexcept { return ended_; }

    // Reads once from the stream, behind what is here: how many bytes came. 0: the end. errc::too_long: no room.
    task<result<std::size_t>> fill() {
        reading const one_at_a_time(*this);
        if (!make_room()) {
            co_return failure(errc::too_long);
        }
        auto got = co_await stream_->read(std::span(memory_.get() + end_, capacity_ - end_));
        if (got) {
            end_ += *got;
            ended_ = *got == 0;
        }
        co_return got;
    }

    // Waits for the delimiter and gives what comes before and with it. The view is valid until the next call that
    // reads. errc::too_long: it is not among the first `capacity` bytes; errc::end_of_stream: it did not come.
    task<result<std::string_view>> read_until(std::string_view delimiter) {
        std::size_t searched = 0;
        for (;;) {
            auto const text = available_text();
            if (auto const at = text.find(delimiter, searched); at != text.npos) {
                consume(at + delimiter.size());
                co_return text.substr(0, at + delimiter.size());
            }
            searched = text.size() - std::min(text.size(), delimiter.size() - 1);
            auto const more = co_await need_more();
            if (!more) {
                co_return failure(more.error());
            }
        }
    }

    // A line without its end, which is LF or CR LF.
    task<result<std::string_view>> read_line() {
        auto line = co_await read_until("\n");
        if (line) {
            line->remove_suffix(line->ends_with("\r\n") ? 2 : 1);
        }
        co_return line;
    }

    // Waits for `count` bytes and gives them; at most the capacity, else errc::too_long. Valid until the next call that
    // reads. errc::end_of_stream: fewer came.
    task<result<std::span<std::byte const>>> read_exactly(std::size_t count) {
        if (count > capacity_) {
            co_return failure(errc::too_long);
        }
        while (end_ - begin_ < count) {
            auto const more = co_await need_more();
            if (!more) {
                co_return failure(more.error());
            }
        }
        auto const bytes = available().first(count);
        consume(count);
        co_return bytes;
    }

    // What is here, else one read from the stream: how many bytes were copied to `to`. 0: the end, or no room was given.
    task<result<std::size_t>> read(std::span<std::byte> to) {
        if (begin_ == end_ && !to.empty()) {
            if (to.size() >= capacity_) {
                co_return co_await stream_->read(to);  // no use in copying it
            }
            auto const got = co_await fill();
            if (!got) {
                co_return failure(got.error());
            }
        }
        std::size_t const count = std::min(to.size(), end_ - begin_);
        if (count != 0) {
            std::memcpy(to.data(), memory_.get() + begin_, count);
            consume(count);
        }
        co_return count;
    }

private:
    // Two tasks that read at once would each get parts of what the other waits for.
    class reading {
    public:
        explicit reading(buffered_reader& reader) noexcept : reader_(&reader) {
            MAGPIE_ASSERT(!reader.busy_);
            reader.busy_ = true;
        }
        reading(reading const&) = delete;
        reading& operator=(reading const&) = delete;
        ~reading() { reader_->busy_ = false; }

    private:
        buffered_reader* reader_;
    };

    // As fill(), where the end is an error.
    task<result<>> need_more() {
        auto const got = co_await fill();
        if (!got) {
            co_return failure(got.error());
        }
        if (*got == 0) {
            co_return failure(errc::end_of_stream);
        }
        co_return result<>();
    }

    // True: there is room behind what is here. What is consumed goes only when the room is needed.
    bool make_room() {
        if (!memory_) {
            memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
        }
        if (end_ == capacity_ && begin_ != 0) {
            std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
            end_ -= std::exchange(begin_, 0);
        }
        return end_ != capacity_;
    }

    Stream* stream_;
    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool ended_ = false;
    bool busy_ = false;
};

// Gathers small writes and hands them to a stream in large parts. What it holds when it dies is not written: flush()
// first. A write or flush that fails, or is cancelled, keeps what the stream has not taken, in order: the next one goes
// on there. The stream must outlive it. One task at a time. The memory is taken at the first write.
template <byte_sink Stream>
class buffered_writer {
public:
    explicit buffered_writer(Stream& stream, std::size_t capacity = std::size_t{16} * 1024) noexcept
        : stream_(&stream), capacity_(capacity) {}

    // Held and not yet written to the stream.
    std::size_t size() const noexcept { return end_ - begin_; }

    // Takes all of the bytes; writes to the stream when they do not fit. `done`, on every exit: how many of them were
    // taken. Bytes that were taken and not written yet are held.
    task<result<>> write(const_buffer bytes, std::size_t& done) {
        done = take(bytes);
        while (done < bytes.size()) {
            auto const flushed = co_await flush();
            if (!flushed) {
                co_return flushed;
            }
            if (bytes.size() - done >= capacity_) {
                std::size_t put = 0;
                adding const count(done, put);
                co_return co_await write_all(*stream_, bytes.subspan(done), put);
            }
            done += take(bytes.subspan(done));
        }
        co_return result<>();
    }
    task<result<>> write(const_buffer bytes) {
        std::size_t done = 0;
        co_return co_await write(bytes, done);
    }
    task<result<>> write(std::string_view text) { return write(as_bytes(text)); }

    // Writes to the stream all that is held.
    task<result<>> flush() {
        std::size_t put = 0;
        adding const count(begin_, put);
        co_return co_await write_all(*stream_, const_buffer(memory_.get() + begin_, size()), put);
    }

private:
    // Adds what was done to a sum, however the scope is left.
    class adding {
    public:
        adding(std::size_t& sum, std::size_t const& part) noexcept : sum_(&sum), part_(&part) {}
        adding(adding const&) = delete;
        adding& operator=(adding const&) = delete;
        ~adding() { *sum_ += *part_; }

    private:
        std::size_t* sum_;
        std::size_t const* part_;
    };

    // Holds as many of the bytes as fit.
    std::size_t take(const_buffer bytes) {
        if (!memory_) {
            memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
        }
        if (begin_ == end_) {
            begin_ = end_ = 0;
        }
        std::size_t const count = std::min(bytes.size(), capacity_ - end_);
        if (count != 0) {
            std::memcpy(memory_.get() + end_, bytes.data(), count);
            end_ += count;
        }
        return count;
    }

    Stream* stream_;
    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace magpie::io
