#pragma once

// The tasks of as_completed() and first_success(), and how a consumer waits for the next one.

#include <magpie/combinators/detail/completion_core.hpp>
#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/spawned.hpp>
#include <magpie/runtime/outcome.hpp>
#include <magpie/runtime/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace magpie::detail {

template <class T>
class completed_child final : public completion_child {
public:
    completed_child(task<T>&& body, std::size_t its_index) noexcept
        : completion_child(&completed_child::finished, its_index) {
        auto const frame = release_frame(std::move(body));
        MAGPIE_ASSERT(frame != nullptr);  // a task was moved from
        frame.promise().run_as(*this);
        handle = frame;
    }
    ~completed_child() override {
        if (handle) {  // it was never started
            handle.destroy();
        }
    }

    outcome<T>&& take() noexcept { return slot_.take(); }
    outcome<T> const& result() const noexcept { return slot_.peek(); }
    std::exception_ptr failure() const noexcept override {
        return slot_.peek().cancelled() ? nullptr : slot_.peek().error();
    }
    bool cancelled() const noexcept override { return slot_.peek().cancelled(); }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<completed_child&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<T>>::from_address(self.handle.address());
        store_result<true, T>(self.slot_, kind == finish_kind::ran ? &frame.promise().result() : nullptr);
        frame.destroy();
        self.handle = nullptr;
        self.core->ended(self);
        return std::noop_coroutine();
    }

    outcome_slot<T> slot_;
};

// The task that starts the children which an async_generator makes.
class completion_feeder final : public completion_child {
public:
    explicit completion_feeder(task<>&& body) noexcept : completion_child(&completion_feeder::finished, 0) {
        auto const frame = release_frame(std::move(body));
        frame.promise().run_as(*this);
        handle = frame;
    }
    std::exception_ptr failure() const noexcept override { return nullptr; }
    bool cancelled() const noexcept override { return false; }

private:
    static std::coroutine_handle<> finished(task_context& context, finish_kind kind) noexcept {
        auto& self = static_cast<completion_feeder&>(context);
        self.mark_finished();
        auto const frame = std::coroutine_handle<task_promise<void>>::from_address(self.handle.address());
        std::exception_ptr error;
        if (kind == finish_kind::ran && frame.promise().result().has_error()) {
            error = std::move(frame.promise().result().error());
        }
        frame.destroy();
        self.core->feeder_ended(std::move(error));
        return std::noop_coroutine();
    }
};

// What next() of a stream gives: Stream::item_of() makes the item of a node.
template <class Stream>
class [[nodiscard("co_await it")]] next_completed {
    class awaiter final : public completion_waiter {
    public:
        explicit awaiter(Stream& stream) noexcept : completion_waiter(stream), stream_(stream) {}
        std::optional<typename Stream::item> await_resume() {
            completion_waiter::look const looks(*this);
            completion_node* const node = check();
            if (node == nullptr) {
                return std::nullopt;
            }
            return std::optional<typename Stream::item>(stream_.item_of(*node));
        }

    private:
        Stream& stream_;
    };

public:
    explicit next_completed(Stream& stream) noexcept : stream_(&stream) {}
    awaiter operator co_await() const noexcept { return awaiter(*stream_); }

private:
    Stream* stream_;
};

}  // namespace magpie::detail
