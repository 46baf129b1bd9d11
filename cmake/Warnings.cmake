# Compiler settings for our own targets: warnings are errors, and the debug preset is sanitized.
add_library(bpfwarden_warnings INTERFACE)
target_compile_options(
  bpfwarden_warnings
  INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
            -Wold-style-cast -Wcast-align -Woverloaded-virtual -Wnull-dereference -Werror
            # g++ 12 says it of designated initializers too, where members have defaults.
            -Wno-missing-field-initializers)
# Of C.
add_library(bpfwarden_c_warnings INTERFACE)
target_compile_options(bpfwarden_c_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                                                      -Wcast-align -Wstrict-prototypes -Wmissing-prototypes -Werror)
target_compile_definitions(bpfwarden_warnings INTERFACE _GLIBCXX_ASSERTIONS)
if(BPFWARDEN_SANITIZE)
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(bpfwarden_warnings INTERFACE ${sanitizers})
  target_link_options(bpfwarden_warnings INTERFACE ${sanitizers})
endif()
