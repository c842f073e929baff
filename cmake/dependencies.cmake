# What the library itself needs. None of it shows in a public header, so none of it is on a
# consumer's include path; a static libmagpie.a still names liburing and {fmt} for its last link.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(magpie_uring REQUIRED IMPORTED_TARGET liburing>=2.3)

# pkg-config's imported target cannot be exported; this one can, and it only names the library.
add_library(magpie_liburing INTERFACE)
target_include_directories(magpie_liburing SYSTEM INTERFACE
  "$<BUILD_INTERFACE:${magpie_uring_INCLUDE_DIRS}>")
target_link_libraries(magpie_liburing INTERFACE
  $<BUILD_INTERFACE:PkgConfig::magpie_uring> $<INSTALL_INTERFACE:uring>)

# toml++ is compiled into one translation unit of the library: a header to find, nothing to link.
find_path(MAGPIE_TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
mark_as_advanced(MAGPIE_TOMLPLUSPLUS_INCLUDE_DIR)
add_library(magpie_tomlplusplus INTERFACE)
target_include_directories(magpie_tomlplusplus SYSTEM INTERFACE "${MAGPIE_TOMLPLUSPLUS_INCLUDE_DIR}")
