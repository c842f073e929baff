#pragma once

#include <optional>
#include <utility>

namespace magpie::detail {

// A range given as an lvalue stays where it is; any other lives here until it has been read.
template <class R>
class held_range {
public:
    explicit held_range(R&& range) : range_(std::move(range)) {}
    R& get() noexcept { return *range_; }
    void reset() noexcept { range_.reset(); }

private:
    std::optional<R> range_;
};

template <class R>
class held_range<R&> {
public:
    explicit held_range(R& range) noexcept : range_(&range) {}
    R& get() noexcept { return *range_; }
    void reset() noexcept {}

private:
    R* range_;
};

}  // namespace magpie::detail
