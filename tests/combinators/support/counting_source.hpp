#pragma once

#include <cstddef>
#include <iterator>
#include <ranges>

#include <combinators/support/naps.hpp>

namespace magpie::tests {

// A single pass over move-only elements that are made one by one: what a generator is to gather.
class counting_source {
public:
    explicit counting_source(int count, int& made) : count_(count), made_(&made) {}
    counting_source(counting_source&&) = default;
    counting_source& operator=(counting_source&&) = default;

    class iterator {
    public:
        using value_type = task<int>;
        using difference_type = std::ptrdiff_t;
        iterator() = default;
        explicit iterator(counting_source& of) : of_(&of) {}
        iterator(iterator&&) = default;
        iterator& operator=(iterator&&) = default;
        task<int> operator*() const {
            ++*of_->made_;
            return after(1ms, of_->next_);
        }
        iterator& operator++() {
            ++of_->next_;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return of_->next_ == of_->count_; }

    private:
        counting_source* of_ = nullptr;
    };
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const { return {}; }

private:
    int count_;
    int next_ = 0;
    int* made_;
};
static_assert(std::ranges::input_range<counting_source> && !std::ranges::forward_range<counting_source>);

}  // namespace magpie::tests
