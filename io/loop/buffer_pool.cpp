#include <magpie/io/loop/buffer_pool.hpp>
#include <magpie/io/loop/wakeup.hpp>
#include <magpie/runtime/detail/assert.hpp>

#include <liburing.h>

#include <mutex>
#include <new>

#include <sys/mman.h>

namespace magpie::detail {

namespace {

// Untouched pages of such a mapping take no memory, so a pool that is hardly used costs hardly anything.
void* map_pages(std::size_t bytes) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        throw std::bad_alloc();
    }
    return at;
}

constexpr std::size_t offered_at_first = 64;

std::size_t ring_bytes(unsigned count) noexcept {
    return count * sizeof(io_uring_buf);
}

}  // namespace

buffer_pool::buffer_pool(buffer_ring_config const& sizes, wakeup& owner)
    : size_(sizes.size), count_(sizes.count), owner_(&owner) {
    MAGPIE_ASSERT(count_ <= 32768);
    free_.reserve(count_);
    for (unsigned id = count_; id-- > 0;) {
        free_.push_back(static_cast<std::uint16_t>(id));
    }
    memory_ = static_cast<std::byte*>(map_pages(size_ * count_));
    try {
        ring_ = map_pages(ring_bytes(count_));
    } catch (...) {
        ::munmap(memory_, size_ * count_);
        throw;
    }
}

buffer_pool::~buffer_pool() {
    ::munmap(ring_, ring_bytes(count_));
    ::munmap(memory_, size_ * count_);
}

void buffer_pool::let_kernel_choose() noexcept {
    std::lock_guard const guard(lock_);
    kernel_chooses_ = true;
    offer(offered_at_first);
}

void buffer_pool::offer(std::size_t how_many) noexcept {
    for (; how_many != 0 && !free_.empty(); --how_many) {
        put_into_ring(free_.back());
        free_.pop_back();
    }
}

// The first entry's last field is the ring's tail, so an entry is written field by field.
void buffer_pool::put_into_ring(std::uint16_t id) noexcept {
    auto* const ring = static_cast<io_uring_buf_ring*>(ring_);
    io_uring_buf& entry = ring->bufs[tail_ & (count_ - 1)];
    entry.addr = reinterpret_cast<std::uintptr_t>(memory_ + id * size_);
    entry.len = static_cast<__u32>(size_);
    entry.bid = id;
    ++tail_;
    __atomic_store_n(&ring->tail, tail_, __ATOMIC_RELEASE);  // release: pairs with the kernel's acquire of the tail
}

std::optional<std::uint16_t> buffer_pool::take() noexcept {
    std::lock_guard const guard(lock_);
    if (free_.empty()) {
        return std::nullopt;
    }
    std::uint16_t const id = free_.back();
    free_.pop_back();
    note_taken();
    return id;
}

void buffer_pool::give_back(std::uint16_t id) noexcept {
    bool last = false;
    {
        std::lock_guard const guard(lock_);
        ++given_back_;
        if (owner_ == nullptr) {
            last = given_back_ == taken_.load(mo_relaxed);
        } else {
            if (kernel_chooses_) {
                put_into_ring(id);
            } else {
                free_.push_back(id);
            }
            if (waited_for_.load(mo_relaxed)) {
                waited_for_.store(false, mo_relaxed);
                owner_->notify();  // under the lock: once it is free the loop may end
            }
        }
    }
    if (last) {
        delete this;
    }
}

std::size_t buffer_pool::available_locked() const noexcept {
    std::size_t const offered = kernel_chooses_ ? count_ - free_.size() : count_;
    return offered - static_cast<std::size_t>(taken_.load(mo_relaxed) - given_back_);
}

std::size_t buffer_pool::available() const noexcept {
    std::lock_guard const guard(lock_);
    return available_locked();
}

void buffer_pool::offer_for(std::size_t wanted) noexcept {
    if (kernel_chooses_ && available_locked() < wanted) {
        offer(count_ - free_.size());
    }
}

std::size_t buffer_pool::available_for(std::size_t wanted) noexcept {
    std::lock_guard const guard(lock_);
    offer_for(wanted);
    return available_locked();
}

bool buffer_pool::wait_for_one(std::size_t wanted) noexcept {
    std::lock_guard const guard(lock_);
    offer_for(wanted);
    bool const none = available_locked() == 0;
    waited_for_.store(none, mo_relaxed);
    return none;
}

void buffer_pool::close() noexcept {
    bool all_here = false;
    {
        std::lock_guard const guard(lock_);
        owner_ = nullptr;
        all_here = given_back_ == taken_.load(mo_relaxed);
    }
    if (all_here) {
        delete this;
    }
}

}  // namespace magpie::detail
