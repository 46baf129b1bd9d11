# BPF objects and their skeletons.
#
# bpfwarden_bpf_object(TARGET SOURCE)    compiles SOURCE (x.bpf.c) to x.bpf.o beside the build files
# bpfwarden_bpf_skeleton(TARGET SOURCE)  also makes x.skel.h, and TARGET_skel to link against
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(BPF_ARCHITECTURE arm64)
else()
  set(BPF_ARCHITECTURE x86)
endif()
set(BPF_FLAGS -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter
              -D__TARGET_ARCH_${BPF_ARCHITECTURE} -ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -I${PROJECT_SOURCE_DIR} -isystem ${BPFWARDEN_PREFIX}/include
              -idirafter ${CMAKE_SYSROOT}/usr/include
              -idirafter ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})

function(bpfwarden_bpf_object target source)
  cmake_path(GET source FILENAME file)
  string(REGEX REPLACE "\\.c$" ".o" object ${file})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${object})
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${BPF_CLANG} ${BPF_FLAGS} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source}
            -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPFILE ${object}.d
    COMMENT "BPF ${file}"
    VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${object})
  set_target_properties(${target} PROPERTIES BPF_OBJECT ${object})
endfunction()

function(bpfwarden_bpf_skeleton target source)
  bpfwarden_bpf_object(${target} ${source})
  get_target_property(object ${target} BPF_OBJECT)
  cmake_path(GET object STEM name)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
    DEPENDS ${object}
    COMMENT "Skeleton ${name}.skel.h"
    VERBATIM)
  add_custom_target(${target}_skeleton DEPENDS ${skeleton})
  add_library(${target}_skel INTERFACE)
  add_dependencies(${target}_skel ${target}_skeleton)
  target_include_directories(${target}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
