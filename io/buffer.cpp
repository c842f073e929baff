#include <magpie/io/buffer.hpp>
#include <magpie/io/loop/event_loop.hpp>

namespace magpie::io {

void buffer::reset() noexcept {
    if (detail::buffer_pool* const pool = std::exchange(pool_, nullptr)) {
        bytes_ = {};
        pool->give_back(id_);
    }
}

buffer buffer::of(completed const& end) noexcept {
    buffer borrowed;
    if ((end.flags & completed_buffer) != 0) {
        borrowed.pool_ = end.home->buffers();
        borrowed.id_ = static_cast<std::uint16_t>(end.flags >> 16);
        borrowed.bytes_ =
            borrowed.pool_->at(borrowed.id_).first(end.result < 0 ? 0 : static_cast<std::size_t>(end.result));
        if (borrowed.bytes_.empty()) {
            borrowed.reset();
        }
    }
    return borrowed;
}

}  // namespace magpie::io
