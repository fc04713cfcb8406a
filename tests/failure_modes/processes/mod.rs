//! The life of processes.

mod ending; // F46–F50: exits, exceptions, signals, crashes
mod forking; // F38–F45: fork, clone, spawn, exec
mod servers; // F59, F60: servers that fork, pools
