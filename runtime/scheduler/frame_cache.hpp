#pragma once

#include <magpie/runtime/detail/frame_alloc.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

namespace magpie::detail {

// A thread's free coroutine frames, by size class: an allocation is a pop, a free is a push, whichever thread the frame
// came from. A list that grows too long gives a batch to the depot, which all threads share under a lock per class;
// an empty one takes a batch from there before it asks the allocator. Both are bounded: what does not fit goes back to
// the allocator. So frames that are made on one worker and freed on another travel in batches.
//
// Owned by one thread. Trivially destructible, so that a thread_local one costs no guard: flush() at thread exit.
class frame_cache {
public:
    static constexpr std::size_t granule = frame_granule;
    static constexpr std::size_t largest = largest_recycled_frame;

    constexpr frame_cache() noexcept = default;

    // Of any size; what is larger than the largest class goes to the allocator.
    void* allocate(std::size_t size) {
        return size <= largest ? allocate_class(frame_class(size)) : ::operator new(size);
    }
    void deallocate(void* memory, std::size_t size) noexcept {
        if (size <= largest) {
            deallocate_class(memory, frame_class(size));
        } else {
            ::operator delete(memory);
        }
    }

    // `index` is the class: below `classes`.
    void* allocate_class(std::size_t index) {
        list& free = lists_[index];
        node* const taken = free.head;
        if (taken == nullptr) [[unlikely]] {
            return allocate_slowly(index);
        }
        free.head = taken->next;
        --free.count;
        bytes_ -= (index + 1) * granule;
        return taken;
    }
    void deallocate_class(void* memory, std::size_t index) noexcept {
        std::size_t const bytes = bytes_ + (index + 1) * granule;
        if (bytes > limit_) [[unlikely]] {
            deallocate_slowly(memory, index);
            return;
        }
        list& free = lists_[index];
        free.head = new (memory) node(free.head);
        ++free.count;
        bytes_ = bytes;
    }

    // Most bytes of free frames that this thread keeps; 0: none.
    void set_limit(std::size_t bytes) noexcept;
    // Gives everything to the allocator.
    void flush() noexcept;

    // Of all threads' frames, any thread: hints.
    struct freed {
        std::size_t ever = 0;      // bytes that went to the allocator since the process began
        std::size_t in_depot = 0;  // bytes
    };
    static freed look() noexcept;
    // Empties the depot, and has the allocator give what it keeps free back to the system. Any thread; may take long.
    static void trim() noexcept;

private:
    struct node {
        explicit node(node* following) noexcept : next(following) {}
        node* next;
        node* next_batch;  // of the first frame of a batch in the depot
    };
    struct list {
        node* head = nullptr;
        std::uint32_t count = 0;
    };
    static constexpr std::size_t classes = largest / granule;

    void* allocate_slowly(std::size_t index);
    void deallocate_slowly(void* memory, std::size_t index) noexcept;
    bool take_batch(std::size_t index) noexcept;
    void give_batch(std::size_t index) noexcept;
    static void free_all(node* first) noexcept;

    struct depot;
    static depot& shared() noexcept;

    list lists_[classes];
    std::size_t bytes_ = 0;  // in all lists
    std::size_t limit_ = 0;  // 0 until the thread has allocated once: the slow path sets it up
    std::size_t singles_ = 0;  // bytes that went to the allocator one by one, and are not in freed::ever yet
    bool ready_ = false;
};

} // namespace magpie::detail
