//! The failure modes of tracers of this kind that docs/FAILURE_MODES.md lists, each with the test that proves this one free
//! of it. A test is named after its entry.

mod beside; // a run with the library beside one without
mod environment; // F61–F68: other programs, disks, limits, descriptors, other tools
mod names; // hostile names on every sink
mod privileges; // F69: set-uid programs, files that lie in the way, secrets
mod processes; // F38–F50, F59, F60: fork, exec, exit, and the servers and pools that are made of them
mod transparency; // signals, namespaces, the loader: what else the program would notice
