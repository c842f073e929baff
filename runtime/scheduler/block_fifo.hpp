#pragma once

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace magpie::detail {

// FIFO of pointers, in blocks. To take an item does not wait for its memory, as it does where each is linked to the next:
// of very many items, none of which is in a cache any more, that is most of the cost.
//
// Not synchronised: its user has a lock, under which nothing is allocated or freed. So memory comes and goes through
// `stock`, which is filled before the lock is taken and emptied after. Without memory the items are linked to each other
// until all of those have left: a push never fails.
template <class T>
class block_fifo {
    struct block;

public:
#if defined(MAGPIE_MODEL)
    static constexpr std::size_t block_capacity = 2;
#else
    static constexpr std::size_t block_capacity = 126;  // a block is 1 KiB, less what malloc needs
#endif

    // Blocks that belong to nobody's queue.
    class stock {
    public:
        stock() = default;
        stock(stock const&) = delete;
        stock& operator=(stock const&) = delete;
        ~stock() {
            while (std::unique_ptr<block> const each = take()) {
            }
        }
        // Tries to have as many. Afterwards tried() as many, with or without success.
        void fill(std::size_t wanted) noexcept {
            tried_ = wanted;
            while (count_ < wanted) {
                std::unique_ptr<block> fresh(new (std::nothrow) block);
                if (fresh == nullptr) {
                    return;
                }
                put(std::move(fresh));
            }
        }
        std::size_t tried() const noexcept { return tried_; }
        std::size_t count() const noexcept { return count_; }

    private:
        friend class block_fifo;
        void put(std::unique_ptr<block> one) noexcept {
            one->next = std::exchange(first_, one.get());
            (void)one.release();
            ++count_;
        }
        std::unique_ptr<block> take() noexcept {
            std::unique_ptr<block> one(first_);
            if (one != nullptr) {
                first_ = one->next;
                one->next = nullptr;
                --count_;
            }
            return one;
        }

        block* first_ = nullptr;
        std::size_t count_ = 0;
        std::size_t tried_ = 0;
    };

    block_fifo() = default;
    block_fifo(block_fifo const&) = delete;
    block_fifo& operator=(block_fifo const&) = delete;
    ~block_fifo() {
        while (head_ != nullptr) {
            std::unique_ptr<block> const each(std::exchange(head_, head_->next));
        }
    }

    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    // How many blocks a push of so many more items needs from its stock.
    std::size_t lacking(std::size_t more) const noexcept {
        std::size_t const room = (head_ != nullptr ? block_capacity - end_ : 0) + (spare_ != nullptr ? block_capacity : 0);
        return !linked_.empty() || more <= room ? 0 : (more - room + block_capacity - 1) / block_capacity;
    }

    void push_back(T* item, stock& blocks) noexcept {
        ++size_;
        if (!linked_.empty() || !make_room(blocks)) [[unlikely]] {
            linked_.push_back(item);
            return;
        }
        tail_->items[end_++] = item;
    }

    // The oldest item, or null. A block that is not needed any more goes into the stock.
    T* pop_front(stock& blocks) noexcept {
        if (empty()) {
            return nullptr;
        }
        --size_;
        if (head_ == nullptr || (head_ == tail_ && begin_ == end_)) {
            return linked_.pop_front();
        }
        T* const item = head_->items[begin_++];
        if (head_ == tail_) {
            if (begin_ == end_) {
                begin_ = end_ = 0;
            }
        } else if (begin_ == block_capacity) {
            std::unique_ptr<block> left(std::exchange(head_, head_->next));
            begin_ = 0;
            if (spare_ == nullptr) {
                spare_ = std::move(left);
            } else {
                blocks.put(std::move(left));
            }
        }
        return item;
    }

private:
    struct block {
        block* next = nullptr;
        guarded<T*> items[block_capacity];
    };

    // True if the tail's block has room for one more.
    bool make_room(stock& blocks) noexcept {
        if (head_ != nullptr && end_ < block_capacity) {
            return true;
        }
        std::unique_ptr<block> fresh = spare_ != nullptr ? std::move(spare_) : blocks.take();
        if (fresh == nullptr) {
            return false;
        }
        fresh->next = nullptr;
        block* const added = fresh.release();
        if (head_ == nullptr) {
            head_ = added;
        } else {
            tail_->next = added;
        }
        tail_ = added;
        end_ = 0;
        return true;
    }

    block* head_ = nullptr;  // the oldest items', from begin_ on; owned, as are those behind it
    block* tail_ = nullptr;  // the newest items', up to end_
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t size_ = 0;
    std::unique_ptr<block> spare_;
    intrusive_queue<T> linked_;  // behind those in blocks
};

}  // namespace magpie::detail
