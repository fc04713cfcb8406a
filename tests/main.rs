//! Integration tests: programs run under the preload library, and what `pytrace report` says of them.
//!
//! They need a release build (`cargo build --release --workspace`), the interpreters of `scripts/pythons`, a C compiler
//! and gdb; `scripts/test` provides all of that. A test that a machine cannot run says so in a line `skipped: …`.

mod support;

// Counting: known calls of known sizes, compared with books kept by the program or by CPython itself.
mod accounting; // C code that calls every allocator, site by site; threads that free each other's blocks
mod concurrency; // sixteen threads against a log behind one lock
mod pymalloc; // arenas, pools and size classes against sys._debugmallocstats()
mod tracemalloc; // live bytes per line against tracemalloc

// Stacks.
mod native_chains; // native frames of C, C++ and callbacks against gdb
mod shapes; // ten thousand random call shapes against traceback
mod stacks;
mod verified; // the caches of stacks against a plain walk, in a test build // every kind of Python code, to the line, on every interpreter

// Starting and ending.
mod children; // fork, spawn, exec: who is traced, and where it is written
mod embedding; // a C program that opens libpython
mod matrix; // every interpreter × every allocator; interpreters that are not known

// What has gone wrong with tracers of this kind.
mod failure_modes;

// Transparency: the program must not notice.
mod entry_points; // every allocator function with absurd arguments, with and without the library
mod faults; // each of the library's system calls fails
mod gates; // what can come to run in a hook, by a walk of the built library's machine code
mod hazards; // threads, forks, signals, greenlets, subinterpreters, limits, huge blocks
mod held; // its background thread is held
mod linking; // exports, imports, protections and thread-local storage of the built library
mod neighbours; // packages with much C, C++ or Rust below them
mod real_programs; // pandas, lxml, pip, http.server, unittest

// The interface.
mod cli; // the command line: what it accepts, says and returns
mod control; // pause, resume, mark, flush
mod damaged; // captures that were cut short, flipped or made to do harm
mod events; // every event, in order: played again it gives the books
mod growth; // what is done again and again takes no more memory
mod long_events; // a billion of them, read as a stream
mod rewriting; // captures of programs that run for long
mod settings; // PYTRACE_*: what they do, and what bad values get
mod summary; // what is printed at the end
