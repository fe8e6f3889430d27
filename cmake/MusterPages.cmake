# muster_pages(PROGRAM SECTION COMPONENT): makes and installs the manual page of a
# program and its completion for bash, zsh and fish, from its own table of flags.
# What the program cannot tell of itself is in docs/man/PROGRAM.SECTION.tail.
function(muster_pages program section component)
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
  # As manual pages are installed; the same bytes each time.
  add_custom_command(OUTPUT ${manual}.gz
    COMMAND gzip -9nc ${manual} > ${manual}.gz
    DEPENDS ${manual} VERBATIM)
  set(pages ${manual}.gz)
  foreach(shell bash zsh fish)
    add_custom_command(OUTPUT ${folder}/${program}.${shell}
      COMMAND ${say} ${shell} > ${folder}/${program}.${shell}
      DEPENDS ${program} VERBATIM)
    list(APPEND pages ${folder}/${program}.${shell})
  endforeach()
  add_custom_target(${program}_pages ALL DEPENDS ${pages})

  install(FILES ${manual}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  install(FILES ${folder}/${program}.bash RENAME ${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
  install(FILES ${folder}/${program}.zsh RENAME _${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT ${component})
  install(FILES ${folder}/${program}.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT ${component})
endfunction()
