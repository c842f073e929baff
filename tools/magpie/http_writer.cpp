#include "http_writer.hpp"

#include <array>
#include <charconv>

namespace magpie::tools {

namespace {

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 20> digits;  // NOLINT: written before it is read
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

// With leading zeros.
void append_fixed(std::string& out, unsigned number, unsigned width) {
    std::size_t const begin = out.size();
    out.append(width, '0');
    for (std::size_t at = begin + width; at > begin && number > 0; number /= 10) {
        out[--at] = static_cast<char>('0' + number % 10);
    }
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(value).append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "";
    }
}

void append_http_date(std::string& out, std::chrono::sys_seconds time) {
    static constexpr std::array<std::string_view, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    auto const day = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day const date{day};
    auto const second = static_cast<unsigned>((time - day).count());

    out.append(days[std::chrono::weekday{day}.c_encoding()]).append(", ");
    append_fixed(out, static_cast<unsigned>(date.day()), 2);
    out.append(" ").append(months[static_cast<unsigned>(date.month()) - 1]).append(" ");
    append_fixed(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    out.append(" ");
    append_fixed(out, second / 3600, 2);
    out.append(":");
    append_fixed(out, second / 60 % 60, 2);
    out.append(":");
    append_fixed(out, second % 60, 2);
    out.append(" GMT");
}

void append_response_head(std::string& out, http_response_head const& head) {
    out.append("HTTP/1.1 ");
    append_number(out, static_cast<std::uint64_t>(head.status));
    append_field(out, " ", reason_phrase(head.status));
    if (head.date) {
        out.append("Date: ");
        append_http_date(out, *head.date);
        out.append("\r\n");
    }
    if (!head.content_type.empty()) {
        append_field(out, "Content-Type: ", head.content_type);
    }
    out.append("Content-Length: ");
    append_number(out, head.content_length);
    out.append("\r\n");
    if (!head.allow.empty()) {
        append_field(out, "Allow: ", head.allow);
    }
    if (!head.keep_alive) {
        append_field(out, "Connection: ", "close");
    } else if (head.minor_version == 0) {
        append_field(out, "Connection: ", "keep-alive");
    }
    out.append("\r\n");
}

void append_response(std::string& out, http_response_head head, std::string_view body, bool head_request) {
    head.content_length = body.size();
    append_response_head(out, head);
    if (!head_request) {
        out.append(body);
    }
}

void append_request(std::string& out, std::string_view method, std::string_view target, std::string_view host,
                    bool keep_alive) {
    out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
    append_field(out, "Host: ", host);
    if (!keep_alive) {
        append_field(out, "Connection: ", "close");
    }
    out.append("\r\n");
}

}  // namespace magpie::tools
