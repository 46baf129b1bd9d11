# What is shipped: hardened as Debian's own packages are, and the same bytes wherever the source lies.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>)
if(NOT BPFWARDEN_SANITIZE)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  add_compile_options($<$<AND:$<COMPILE_LANGUAGE:CXX>,$<NOT:$<CONFIG:Debug>>>:-D_FORTIFY_SOURCE=2>
                      -fstack-protector-strong -fstack-clash-protection)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
