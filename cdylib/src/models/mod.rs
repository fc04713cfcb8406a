//! Models of the protocols between threads, under loom: every interleaving (within a number of preemptions), and every value that
//! the memory model lets a load return. They drive the shim's own code, compiled with atomics of loom's (see `sync` and `watch`).
//!
//! `cargo test -p pytrace-preload --lib --features loom models::`; PYTRACE_SOAK=full: with one preemption more.
//!
//! Each of these changes was tried, and is found: Relaxed in `send`, `receive`, `recycle`, `empty_buffer`, `append`, `prepare`,
//! `published`; the list read and emptied in two steps, or taken in reverse order; no bound on what waits; buffers received
//! before cursors are noted; the sleeper looks before it says that it sleeps, or says so or wakes with Relaxed or a plain store;
//! `leave` with Relaxed, or without a wake-up; the lock taken or given back with Relaxed, or taken by a sleeper as if nobody else
//! slept; a lock taken within a time by one who was woken, as if nobody else slept; the word of segments with Relaxed, in `start` or `latest`, or read after the cursors; the other threads' cursors noted
//! before that of the thread that recorded last. Relaxed in `hand_over` is not found: whoever reads the new buffer's header has
//! received the old one.
//!
//! Of forks and the end: a fork that does not forbid threads, or is counted as one with another that is under way; a thread
//! started without a look under the lock whether that is allowed; one that leaves taken for absent; two that both write the end; a
//! flush behind it. Not found, as the lock or the join beside them does the same: Relaxed in `ForkPause` and in `Closing`, a
//! join of one that leaves before it has.
//!
//! Not modelled: clocks, the kernel's side of threads and forks, signals.

mod background; // woken for work, sent away for a fork
mod buffers; // whole buffers to the reader, and back
mod closing; // flushes, and the end
mod cut; // streams that go on growing while they are read
mod fork; // no thread of ours while the program forks
mod lock; // one holder at a time; nobody is left asleep
mod stage;
