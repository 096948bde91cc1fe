"""Where Interlock keeps what it must not lose: directories, their rights, atomic files. No format is known here."""
