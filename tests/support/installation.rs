//! Where the things under test are: the preload library and the command line, as `scripts/test` builds them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The root of the checkout.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of `tests/programs/`.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = project().join("tests/programs").join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path
}

/// The build folder (`target/`): this test's own executable lies in its `debug/deps`.
pub(crate) fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its executable");
    own.ancestors()
        .nth(3)
        .expect("cargo runs tests from target/PROFILE/deps")
        .to_path_buf()
}

/// The preload library: `$PYTRACE_LIBRARY`, else the release build.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = std::env::var_os("PYTRACE_LIBRARY")
            .map(PathBuf::from)
            .unwrap_or_else(|| target().join("release/libpytrace.so"));
        assert!(
            path.is_file(),
            "no preload library at {}: run `cargo build --release --workspace` or set PYTRACE_LIBRARY",
            path.display()
        );
        path.canonicalize().expect("the file exists")
    })
}

/// The command line that lies beside the library.
pub(crate) fn command_line() -> PathBuf {
    let path = library().with_file_name("pytrace");
    assert!(
        path.is_file(),
        "no `pytrace` beside {}: run `cargo build --release --workspace`",
        library().display()
    );
    path
}
