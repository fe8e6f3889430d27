# muster_pages(PROGRAM SECTION): makes and installs the manual page of a program
# and its completion for bash, zsh and fish, from its own table of flags. What the
# program cannot tell of itself is in docs/man/PROGRAM.SECTION.tail.
function(muster_pages program section)
  set(folder ${CMAKE_BINARY_DIR}/pages)
  set(tail ${CMAKE_SOURCE_DIR}/docs/man/${program}.${section}.tail)
  file(MAKE_DIRECTORY ${folder})
  # Defaults come from the environment, too.
  set(say ${CMAKE_COMMAND} -E env --unset=MUSTER_ADDRESS $<TARGET_FILE:${program}> --pages)
  set(manual ${folder}/${program}.${section})
  add_custom_command(OUTPUT ${manual}
    COMMAND ${say} man${section} > ${manual}.head
    COMMAND ${CMAKE_COMMAND} -E cat ${manual}.head ${tail} > ${manual}
    DEPENDS ${program} ${tail} VERBATIM)
  set(pages ${manual})
  foreach(shell bash zsh fish)
    add_custom_command(OUTPUT ${folder}/${program}.${shell}
      COMMAND ${say} ${shell} > ${folder}/${program}.${shell}
      DEPENDS ${program} VERBATIM)
    list(APPEND pages ${folder}/${program}.${shell})
  endforeach()
  add_custom_target(${program}_pages ALL DEPENDS ${pages})

  install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  install(FILES ${folder}/${program}.bash RENAME ${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${folder}/${program}.zsh RENAME _${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${folder}/${program}.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endfunction()
