//! G. Environment: other programs, disks, limits, descriptors, other tools in the same process.

mod files; // full, read-only, limited, closed
mod limits; // memory, stacks, descriptors, users; long runs
mod programs; // without Python, or out of reach
mod tools; // sanitizers, valgrind, other preloads

use crate::support::installation::program;
use crate::support::interpreters::usual;
use crate::support::{Traced, skipped};

/// A command that runs after `setup`, in a name space of its own for file systems; `None` where the system does not allow
/// one. What `afterwards` says is done when the command has ended; the exit status is the command's.
fn with_mounts(setup: &str, afterwards: &str) -> Option<Traced> {
    let allowed =
        Traced::command("unshare").arguments(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !allowed.untraced().run().status.success() {
        skipped(
            "file systems of a test's own",
            "unshare and mount are not allowed here",
        );
        return None;
    }
    let shell = format!("{setup} || exit 99\n\"$@\"\nstatus=$?\n{afterwards}\nexit $status");
    Some(Traced::command("unshare").arguments(["-rm", "sh", "-c", &shell, "sh"]))
}

fn marker(run: Traced) -> Traced {
    run.argument(&usual().path)
        .argument("-S")
        .argument(program("marker.py"))
}
