#pragma once

#include <magpie/runtime/detail/frame_alloc.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace magpie::detail {

template <class T>
using task_list = std::vector<task<T>, recycling_allocator<task<T>>>;

// Tasks of a range that does not say how many there are, until they have their records: the first ones lie here, on the
// stack, so that a short range allocates nothing for it.
template <class T>
class task_buffer {
public:
    static constexpr std::size_t room = 64;

    task_buffer() noexcept {}
    task_buffer(task_buffer const&) = delete;
    task_buffer& operator=(task_buffer const&) = delete;
    ~task_buffer() { std::destroy_n(first_, count_); }

    std::size_t size() const noexcept { return count_ + more_.size(); }
    // Throws std::bad_alloc, and then has not taken it.
    void push_back(task<T>&& one) {
        if (count_ < room) [[likely]] {
            std::construct_at(first_ + count_, std::move(one));
            ++count_;
        } else {
            more_.push_back(std::move(one));
        }
    }

    // Calls f with each, in order, as an rvalue. f takes it and does not throw.
    template <class F>
    void move_each(F f) noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            f(std::move(first_[i]));
        }
        count_ = 0;  // nothing is left to destroy
        for (task<T>& each : more_) {
            f(std::move(each));
        }
        more_.clear();
    }
    task_list<T> move_to_list() {
        task_list<T> all;
        all.reserve(size());
        move_each([&all](task<T>&& each) { all.push_back(std::move(each)); });
        return all;
    }

private:
    union {
        task<T> first_[room];
    };
    std::size_t count_ = 0;
    task_list<T> more_;
};

}  // namespace magpie::detail
