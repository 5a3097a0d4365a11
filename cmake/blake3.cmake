# BLAKE3's own C library. Debian 12 has it only within the Rust crate's sources (librust-blake3-dev).
file(GLOB BLAKE3_DIRS /usr/share/cargo/registry/blake3-*/c)
list(SORT BLAKE3_DIRS COMPARE NATURAL ORDER DESCENDING)
find_path(BLAKE3_DIR blake3_impl.h PATHS ${BLAKE3_DIRS} NO_DEFAULT_PATH REQUIRED)

enable_language(C ASM)
add_library(blake3 STATIC
  ${BLAKE3_DIR}/blake3.c ${BLAKE3_DIR}/blake3_dispatch.c ${BLAKE3_DIR}/blake3_portable.c)
target_include_directories(blake3 SYSTEM PUBLIC ${BLAKE3_DIR})
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  # Which of them the machine can run is asked at run time.
  foreach(instructions sse2 sse41 avx2 avx512)
    target_sources(blake3 PRIVATE ${BLAKE3_DIR}/blake3_${instructions}_x86-64_unix.S)
  endforeach()
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  target_sources(blake3 PRIVATE ${BLAKE3_DIR}/blake3_neon.c)
  target_compile_definitions(blake3 PRIVATE BLAKE3_USE_NEON=1)
else()
  foreach(instructions SSE2 SSE41 AVX2 AVX512)
    target_compile_definitions(blake3 PRIVATE BLAKE3_NO_${instructions})
  endforeach()
endif()
