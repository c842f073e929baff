#include <magpie/io/loop/fill_entry.hpp>

#include <doctest/doctest.h>

#include <cstring>

namespace {

using namespace magpie;

TEST_CASE("an entry is filled whole: the request, the tag, and zeros behind it, whatever was there") {
    io::request r{.code = io::opcode::recv};
    r.entry_flags = io::entry_buffer_select;
    r.priority = 3;
    r.fd = 7;
    r.offset = 11;
    r.address = 13;
    r.length = 17;
    r.flags = 19;
    r.buffer_group = 23;
    r.personality = 29;
    r.file_index = 31;
    r.address3 = 37;
    io_uring_sqe entry;
    std::memset(&entry, 0xee, sizeof entry);
    detail::fill_entry(entry, r, 41);

    CHECK(entry.opcode == IORING_OP_RECV);
    CHECK(entry.flags == IOSQE_BUFFER_SELECT);
    CHECK(entry.ioprio == 3);
    CHECK(entry.fd == 7);
    CHECK(entry.off == 11);
    CHECK(entry.addr == 13);
    CHECK(entry.len == 17);
    CHECK(entry.rw_flags == 19);
    CHECK(entry.user_data == 41);
    CHECK(+entry.buf_group == 23);  // a packed member: not by reference
    CHECK(entry.personality == 29);
    CHECK(entry.file_index == 31);
    CHECK(entry.addr3 == 37);
    CHECK(entry.__pad2[0] == 0);
}

}  // namespace
