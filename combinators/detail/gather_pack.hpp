#pragma once

#include <magpie/combinators/detail/gather_child.hpp>
#include <magpie/runtime/detail/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <tuple>
#include <utility>

namespace magpie::detail {

// Runs a fixed number of tasks. Lies in the awaiting frame with all their records: nothing is allocated.
template <bool Settled, class... Ts>
class gather_pack_awaiter final : public gather_join {
public:
    gather_pack_awaiter(bool cancel_rest, std::tuple<task<Ts>...>&& tasks) noexcept
        : gather_join(cancel_rest), children_(std::move(tasks)) {}

    bool await_ready() const noexcept { return sizeof...(Ts) == 0; }

    template <runnable_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        if constexpr (sizeof...(Ts) == 0) {
            return parent;
        } else {
            child* last = nullptr;
            std::apply([&last](auto&... each) { ((each.next = last, last = &each), ...); }, children_);
            return launch(parent, *parent.promise().context(), *last, sizeof...(Ts));
        }
    }

    std::tuple<gathered_t<Ts, Settled>...> await_resume() {
        check();
        return std::apply([](auto&... each) { return std::tuple<gathered_t<Ts, Settled>...>(each.take()...); },
                          children_);
    }

private:
    bool request_all() noexcept override {
        return std::apply(
                   [](auto&... each) {
                       return (static_cast<unsigned>(each.request_cancel(request_origin::external)) | ... | 0U);
                   },
                   children_) != 0;
    }

    std::tuple<gather_child<Ts, Settled>...> children_;
};

// What gather(a, b, ...) returns.
template <bool Settled, class... Ts>
class [[nodiscard("co_await it")]] gather_pack_awaitable {
public:
    explicit gather_pack_awaitable(bool cancel_rest, task<Ts>&&... tasks) noexcept
        : tasks_(std::move(tasks)...), cancel_rest_(cancel_rest) {}

    // An awaiter of its own, though this could be it: g++ 12 moves what is awaited into the frame, with all its records.
    gather_pack_awaiter<Settled, Ts...> operator co_await() && noexcept { return {cancel_rest_, std::move(tasks_)}; }
    void operator co_await() const& = delete;  // a gather is awaited once: co_await std::move(g)

private:
    std::tuple<task<Ts>...> tasks_;
    bool cancel_rest_;
};

template <bool Settled, class... Ts>
gather_pack_awaitable<Settled, Ts...> make_gather_pack(bool cancel_rest, task<Ts>&&... tasks) noexcept {
    return gather_pack_awaitable<Settled, Ts...>(cancel_rest, std::move(tasks)...);
}

}  // namespace magpie::detail
