# Rooms: the folders of policy/ and loader/, each a library of its own.
#
# bpfwarden_room(NAME SOURCES FILE... [DEPENDS ROOM...] [LIBRARIES LIBRARY...] [ALONE FILE...])
#   makes PART_NAME of the folder PART/NAME, e.g. loader_events. DEPENDS names the rooms that it includes,
#   LIBRARIES those of others, ALONE what is not compiled together (Unity.cmake). The part says in
#   BPFWARDEN_ROOM_UNITS how many are, and in BPFWARDEN_ROOM_STANDS_ON what all of its rooms may include.
# bpfwarden_rooms()  makes the target PART, which is all rooms that there are by then.
#
# tests/lint/arrows holds includes to DEPENDS, and DEPENDS to the floors.
function(bpfwarden_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LIBRARIES;ALONE")
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR PARENT_PATH folder)
  cmake_path(GET folder FILENAME part)
  set(target ${part}_${name})
  list(TRANSFORM arg_DEPENDS PREPEND ${part}_)
  add_library(${target} STATIC ${arg_SOURCES})
  bpfwarden_unity(${target} ${BPFWARDEN_ROOM_UNITS} ${arg_ALONE})
  target_link_libraries(
    ${target}
    PUBLIC ${arg_DEPENDS} ${BPFWARDEN_ROOM_STANDS_ON}
    PRIVATE ${arg_LIBRARIES} bpfwarden_warnings)
  set_property(GLOBAL APPEND PROPERTY BPFWARDEN_ROOMS_OF_${part} ${target})
endfunction()

function(bpfwarden_rooms)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME part)
  get_property(rooms GLOBAL PROPERTY BPFWARDEN_ROOMS_OF_${part})
  add_library(${part} INTERFACE)
  target_link_libraries(${part} INTERFACE ${rooms})
endfunction()
