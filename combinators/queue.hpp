#pragma once

#include <magpie/combinators/detail/queue_core.hpp>
#include <magpie/combinators/detail/queue_item.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace magpie {

// What put() gives: awaiting it puts the item. Holds the item until it is in; it dies with this otherwise.
template <class Item>
class [[nodiscard("co_await it")]] queue_put_awaitable {
    class awaiter final : public detail::queue_put_waiter {
    public:
        awaiter(detail::queue_core& at, Item* to_put) noexcept : queue_put_waiter(at, to_put) {}
        ~awaiter() { detail::own_item<Item>(this->item); }
        void await_resume() const {
            if (!this->check()) {
                detail::throw_queue_closed();
            }
        }
    };

public:
    queue_put_awaitable(detail::queue_core& at, std::unique_ptr<Item> item) noexcept
        : at_(&at), item_(std::move(item)) {}
    awaiter operator co_await() && noexcept { return awaiter(*at_, item_.release()); }

private:
    detail::queue_core* at_;
    std::unique_ptr<Item> item_;
};

// What get() gives (Result = T: throws queue_closed) and next() (Result = std::optional<T>: nullopt).
template <class Item, class Result>
class [[nodiscard("co_await it")]] queue_get_awaitable {
    class awaiter final : public detail::queue_get_waiter {
    public:
        explicit awaiter(detail::queue_core& at) noexcept : queue_get_waiter(at) {}
        ~awaiter() { detail::own_item<Item>(this->item); }
        Result await_resume() {
            bool const open = this->check();
            if constexpr (!std::same_as<Result, typename Item::value_type>) {
                if (!open) {
                    return std::nullopt;
                }
            } else if (!open) {
                detail::throw_queue_closed();
            }
            auto const got = detail::own_item<Item>(std::exchange(this->item, nullptr));
            return Result(std::move(got->value));
        }
    };

public:
    explicit queue_get_awaitable(detail::queue_core& at) noexcept : at_(&at) {}
    awaiter operator co_await() const noexcept { return awaiter(*at_); }

private:
    detail::queue_core* at_;
};

class [[nodiscard("co_await it")]] queue_join_awaitable {
public:
    explicit queue_join_awaitable(detail::queue_core& at) noexcept : at_(&at) {}
    detail::queue_join_waiter operator co_await() const noexcept { return detail::queue_join_waiter(*at_); }

private:
    detail::queue_core* at_;
};

// What all queues have in common; Order decides which item leaves first. Use queue<T>, lifo_queue<T> or
// priority_queue<T, Compare>.
//
// Carries items between tasks, and between tasks and foreign threads. Getters are served first come, first served, and
// so are putters; an item for which somebody waits is handed over at once, and nobody overtakes. With a capacity, put()
// waits for room. Nothing is lost by a cancellation: a put() either put its item or destroyed it, and an item that was
// handed to a getter before the request came is returned by its get(), the request stays pending.
//
// T must be movable, nothing else. Items are moved, made and destroyed outside the queue's lock; each put allocates one
// block of recycled memory. co_await put(), get(), next() and join() in tasks; everything else from any thread. Nobody
// may wait at it when it is destroyed.
template <class T, class Order>
class basic_queue {
    static_assert(std::is_object_v<T> && std::move_constructible<T>, "a queue carries objects that can be moved");
    using item_type = detail::queue_item<T, typename Order::node>;

public:
    using value_type = T;

    // At most `capacity` items at a time; 0: no bound.
    explicit basic_queue(std::size_t capacity = 0) noexcept : core_(capacity, order_) {}
    basic_queue(basic_queue const&) = delete;
    basic_queue& operator=(basic_queue const&) = delete;
    ~basic_queue() { destroy(core_.close(true)); }

protected:
    // For an order that has to be made from something.
    template <class... OrderArgs>
    explicit basic_queue(std::in_place_t, std::size_t capacity, OrderArgs&&... args)
        : order_(std::forward<OrderArgs>(args)...), core_(capacity, order_) {}

public:

    // Puts the item, which is moved in now; waits for room. Throws queue_closed when, or as soon as, the queue is closed.
    queue_put_awaitable<item_type> put(T item) { return {core_, make(std::move(item))}; }
    // The next item; waits for one. Throws queue_closed when the queue is closed and empty.
    queue_get_awaitable<item_type, T> get() noexcept { return queue_get_awaitable<item_type, T>(core_); }
    // The next item; waits for one. std::nullopt when the queue is closed and empty:
    //     while (auto item = co_await q.next()) use(*item);
    queue_get_awaitable<item_type, std::optional<T>> next() noexcept {
        return queue_get_awaitable<item_type, std::optional<T>>(core_);
    }

    // False, and the item is untouched: there is no room, somebody waits for it, or the queue is closed. If T's
    // constructor throws, the queue is as it was.
    bool try_put(T&& item) { return put_reserved(std::move(item)); }
    bool try_put(T const& item)
        requires std::copy_constructible<T>
    {
        return put_reserved(item);
    }
    // std::nullopt: there is no item now (closed() tells whether there ever will be).
    std::optional<T> try_get() {
        getting_now place;
        core_.get(place, detail::queue_core::wait_policy::never, nullptr);
        auto const item = detail::own_item<item_type>(place.item);
        return item == nullptr ? std::nullopt : std::optional<T>(std::move(item->value));
    }

    // As put() and get(), for threads that are no workers: they block. On a worker they throw usage_error. While a
    // thread is blocked here the simulated clock of the runtime whose tasks use the queue stands still.
    void blocking_put(T item) {
        std::unique_ptr<item_type> made = make(std::move(item));
        detail::queue_node* node = made.get();
        if (!detail::block_on_put(core_, node)) {
            detail::throw_queue_closed();
        }
        made.release();
    }
    T blocking_get() {
        detail::queue_node* node = nullptr;
        if (!detail::block_on_get(core_, node)) {
            detail::throw_queue_closed();
        }
        return T(std::move(detail::own_item<item_type>(node)->value));
    }

    // No more items: put() throws, try_put() gives false, who waits to put gets queue_closed. The items that are in can
    // still be got; then get() throws and next() gives std::nullopt, also to who waits already. With `discard` the items
    // are destroyed, in this thread, and no longer counted by join(). May be repeated, also with another argument.
    void close(bool discard = false) noexcept { destroy(core_.close(discard)); }
    bool closed() const noexcept { return core_.closed(); }

    // One item that was got has been dealt with: for join(). Throws usage_error if all were already.
    void task_done() {
        if (!core_.task_done()) {
            detail::throw_surplus_task_done();
        }
    }
    // Waits until task_done() has been called for every item that was put; does not suspend if it has.
    queue_join_awaitable join() noexcept { return queue_join_awaitable(core_); }

    // Hints: they may change at once.
    std::size_t size() const noexcept { return core_.size(); }
    bool empty() const noexcept { return core_.size() == 0; }
    bool full() const noexcept { return capacity() != 0 && core_.size() >= capacity(); }
    // Items put for which task_done() has not been called.
    std::size_t unfinished() const noexcept { return core_.unfinished(); }
    // Who waits to get and to put. Take as long as there are.
    std::size_t waiting_getters() const noexcept { return core_.waiting_getters(); }
    std::size_t waiting_putters() const noexcept { return core_.waiting_putters(); }
    // As given to the constructor.
    std::size_t capacity() const noexcept { return core_.capacity(); }

private:
    class getting_now final : public detail::queue_place {
    public:
        getting_now() noexcept : queue_place(nullptr) {}

    private:
        void ended() noexcept override {}
    };

    template <class U>
    static std::unique_ptr<item_type> make(U&& item) {
        return std::unique_ptr<item_type>(new item_type(std::forward<U>(item)));
    }
    static void destroy(detail::queue_node* first) noexcept {
        while (first != nullptr) {
            detail::own_item<item_type>(std::exchange(first, first->next));
        }
    }

    template <class U>
    bool put_reserved(U&& item) {
        if (!core_.reserve()) {
            return false;
        }
        std::unique_ptr<item_type> made;
        try {
            made = make(std::forward<U>(item));
        } catch (...) {
            core_.drop_reservation();
            throw;
        }
        if (core_.fill_reservation(*made)) {
            made.release();
        }
        return true;
    }

    Order order_;
    detail::queue_core core_;
};

// A queue whose items leave in the order in which they were put.
template <class T>
class queue : public basic_queue<T, detail::fifo_order> {
public:
    using basic_queue<T, detail::fifo_order>::basic_queue;
};

} // namespace magpie
