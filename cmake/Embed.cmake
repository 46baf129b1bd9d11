# Files as constants in the program.
#
# bpfwarden_embed(SOURCE NAMESPACE CONSTANT FILE... [CONSTANT FILE...])  writes SOURCE (.cpp), in
#   which each `const std::string_view CONSTANT` is the text of the files that follow it, in order.
#   A name that begins with `k` is a constant. Their header is written by hand.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(BPFWARDEN_EMBED ${CMAKE_CURRENT_LIST_FILE})
  function(bpfwarden_embed source namespace)
    set(files ${ARGN})
    list(FILTER files EXCLUDE REGEX "^k[A-Z]")
    list(TRANSFORM files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    add_custom_command(
      OUTPUT ${source}
      COMMAND ${CMAKE_COMMAND} -D "SOURCE=${source}" -D "NAMESPACE=${namespace}" -D "PARTS=${ARGN}"
              -D "FOLDER=${CMAKE_CURRENT_SOURCE_DIR}" -P ${BPFWARDEN_EMBED}
      DEPENDS ${files} ${BPFWARDEN_EMBED}
      COMMENT "Embedding for ${namespace}"
      VERBATIM)
  endfunction()
  return()
endif()

set(text "// Made by cmake/Embed.cmake.\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n")
set(end "")
foreach(part IN LISTS PARTS)
  if(part MATCHES "^k[A-Z]")
    string(APPEND text "${end}extern const std::string_view ${part};\nconst std::string_view ${part} =")
    set(end ";\n")
  else()
    file(READ "${FOLDER}/${part}" content)
    string(APPEND text "\n    R\"embedded(${content})embedded\"")
  endif()
endforeach()
file(WRITE "${SOURCE}" "${text}${end}}  // namespace ${NAMESPACE}\n")
