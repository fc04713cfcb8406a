//! Threads of Rust code that panic and take backtraces, as libraries written in Rust do: the standard library's lock of backtraces is
//! held while they ask for memory.

use std::backtrace::Backtrace;
use std::hint::black_box;

#[unsafe(no_mangle)]
pub extern "C" fn panic_in_threads(threads: i64, rounds: i64) {
    std::panic::set_hook(Box::new(|_| {
        black_box(Backtrace::force_capture().to_string().len());
    }));
    let all: Vec<_> = (0..threads)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..rounds).filter(|round| panics(thread, *round)).count() as i64
            })
        })
        .collect();
    let caught: i64 = all.into_iter().map(|one| one.join().unwrap_or(0)).sum();
    println!("{caught}");
}

fn panics(thread: i64, round: i64) -> bool {
    std::panic::catch_unwind(|| panic!("on purpose: {thread}, {}", "x".repeat(round as usize))).is_err()
}
