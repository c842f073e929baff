# The three layers lie in folders of the repository's root, and the root itself must be on nobody's
# include path. So the build tree holds include/magpie/<layer> as a link to each of them, next to the
# two generated headers, and that include folder is all that a user of the library ever sees.

set(MAGPIE_LAYERS runtime io combinators)
set(MAGPIE_INCLUDE_ROOT "${PROJECT_BINARY_DIR}/include")
set(MAGPIE_SOURCES "")
set(MAGPIE_PUBLIC_HEADERS "")
set(umbrella_includes "")

file(MAKE_DIRECTORY "${MAGPIE_INCLUDE_ROOT}/magpie")
foreach(layer IN LISTS MAGPIE_LAYERS)
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${layer}" "${MAGPIE_INCLUDE_ROOT}/magpie/${layer}" SYMBOLIC)

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${layer}/*.cpp")
  list(APPEND MAGPIE_SOURCES ${sources})

  # scheduler/ and loop/ are machinery: not installed, so not listed.
  file(GLOB face RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${layer}/*.hpp")
  file(GLOB detail RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/${layer}/detail/*.hpp")
  foreach(header IN LISTS face detail)
    list(APPEND MAGPIE_PUBLIC_HEADERS "${MAGPIE_INCLUDE_ROOT}/magpie/${header}")
  endforeach()
  foreach(header IN LISTS face)
    string(APPEND umbrella_includes "#include <magpie/${header}>\n")
  endforeach()
endforeach()

configure_file("${PROJECT_SOURCE_DIR}/cmake/magpie.hpp.in" "${MAGPIE_INCLUDE_ROOT}/magpie/magpie.hpp" @ONLY)
configure_file("${PROJECT_SOURCE_DIR}/cmake/version.hpp.in" "${MAGPIE_INCLUDE_ROOT}/magpie/version.hpp" @ONLY)
list(APPEND MAGPIE_PUBLIC_HEADERS
  "${MAGPIE_INCLUDE_ROOT}/magpie/magpie.hpp" "${MAGPIE_INCLUDE_ROOT}/magpie/version.hpp")
