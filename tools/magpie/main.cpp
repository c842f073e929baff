#include "command_line.hpp"

int main(int argc, char** argv) {
    return magpie::tools::run_program(argc, argv);
}
