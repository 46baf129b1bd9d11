# What is shipped: hardened as Debian's own packages are, and the same bytes wherever the source lies.
if(BPFWARDEN_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>)
else()
  # Debug information counts, too: the build id is made of it. With ccache paths are relative to the build folder
  # (CCACHE_BASEDIR), without it absolute; here both become the same. The last that fits is taken.
  cmake_path(RELATIVE_PATH PROJECT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_BINARY_DIR} OUTPUT_VARIABLE up)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-ffile-prefix-map=${up}=. -ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}/=>")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  add_compile_options($<$<AND:$<COMPILE_LANGUAGE:CXX>,$<NOT:$<CONFIG:Debug>>>:-D_FORTIFY_SOURCE=2>
                      -fstack-protector-strong -fstack-clash-protection)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
