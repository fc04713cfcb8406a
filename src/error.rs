//! What can go wrong outside the traced program.
//!
//! One opaque type with private kinds: callers ask with predicates (`is_…`), so kinds can be added without breaking
//! them. Invariant: a message is one line, says what was wrong and what to do, and carries no control characters of
//! the names it quotes.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pytrace_model::text::escape_name;

/// Why `pytrace` could not do what it was asked.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
}

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
enum Kind {
    Usage(String),
    LibraryNotFound {
        looked_at: Vec<PathBuf>,
    },
    LibrarySettingWrong {
        path: PathBuf,
    },
    LinkNotMade {
        library: PathBuf,
        source: io::Error,
    },
    ScriptMissing {
        script: PathBuf,
    },
    CommandNotFound {
        program: PathBuf,
    },
    NotExecutable {
        program: PathBuf,
        source: io::Error,
    },
    NotStarted {
        program: PathBuf,
        source: io::Error,
    },
    OutputFolder {
        folder: PathBuf,
        source: io::Error,
    },
    OutputPattern {
        pattern: PathBuf,
        found: String,
    },
    OutputIsNoFile {
        path: PathBuf,
    },
    NotReplaced {
        path: PathBuf,
        source: io::Error,
    },
    NotOpened {
        path: PathBuf,
        source: io::Error,
    },
    NotACapture {
        path: PathBuf,
        found: &'static str,
    },
    NotDecoded {
        path: PathBuf,
        reason: String,
    },
    NoCapturesIn {
        folder: PathBuf,
    },
    NoneReadable {
        failures: Vec<Error>,
    },
    NotWritten {
        to: Option<PathBuf>,
        source: io::Error,
    },
}

impl Error {
    fn new(kind: Kind) -> Error {
        Error { kind }
    }

    /// A request that makes no sense; the message says why and what to ask instead.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage(message.into()))
    }

    pub(crate) fn library_not_found(looked_at: Vec<PathBuf>) -> Error {
        Error::new(Kind::LibraryNotFound { looked_at })
    }

    pub(crate) fn library_setting_wrong(path: PathBuf) -> Error {
        Error::new(Kind::LibrarySettingWrong { path })
    }

    pub(crate) fn link_not_made(library: &Path, source: io::Error) -> Error {
        let library = library.to_path_buf();
        Error::new(Kind::LinkNotMade { library, source })
    }

    pub(crate) fn script_missing(script: &Path) -> Error {
        let script = script.to_path_buf();
        Error::new(Kind::ScriptMissing { script })
    }

    /// The kind follows from what the system said: no such program, no permission, or neither.
    pub(crate) fn not_started(program: &OsStr, source: io::Error) -> Error {
        let program = PathBuf::from(program);
        Error::new(match source.kind() {
            io::ErrorKind::NotFound => Kind::CommandNotFound { program },
            io::ErrorKind::PermissionDenied => Kind::NotExecutable { program, source },
            // ENOEXEC has no stable `ErrorKind`.
            _ if source.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                Kind::NotExecutable { program, source }
            }
            _ => Kind::NotStarted { program, source },
        })
    }

    pub(crate) fn output_folder(folder: &Path, source: io::Error) -> Error {
        let folder = folder.to_path_buf();
        Error::new(Kind::OutputFolder { folder, source })
    }

    pub(crate) fn output_pattern(pattern: &OsStr, found: String) -> Error {
        let pattern = PathBuf::from(pattern);
        Error::new(Kind::OutputPattern { pattern, found })
    }

    pub(crate) fn output_is_no_file(path: &Path) -> Error {
        let path = path.to_path_buf();
        Error::new(Kind::OutputIsNoFile { path })
    }

    pub(crate) fn not_replaced(path: &Path, source: io::Error) -> Error {
        let path = path.to_path_buf();
        Error::new(Kind::NotReplaced { path, source })
    }

    /// A file that cannot be opened or read.
    pub fn not_opened(path: &Path, source: io::Error) -> Error {
        let path = path.to_path_buf();
        Error::new(Kind::NotOpened { path, source })
    }

    pub(crate) fn not_a_capture(path: &Path, found: &'static str) -> Error {
        let path = path.to_path_buf();
        Error::new(Kind::NotACapture { path, found })
    }

    pub(crate) fn not_decoded(path: &Path, reason: impl fmt::Display) -> Error {
        let path = path.to_path_buf();
        let reason = reason.to_string();
        Error::new(Kind::NotDecoded { path, reason })
    }

    pub(crate) fn no_captures_in(folder: &Path) -> Error {
        let folder = folder.to_path_buf();
        Error::new(Kind::NoCapturesIn { folder })
    }

    /// Several files of which none could be read, each for its reason.
    pub(crate) fn none_readable(failures: Vec<Error>) -> Error {
        Error::new(Kind::NoneReadable { failures })
    }

    /// A report that could not be written; `to` is `None` for standard output.
    pub fn not_written(to: Option<&Path>, source: io::Error) -> Error {
        let to = to.map(Path::to_path_buf);
        Error::new(Kind::NotWritten { to, source })
    }

    /// Whether the command to run does not exist (a shell's 127).
    pub fn is_command_not_found(&self) -> bool {
        matches!(self.kind, Kind::CommandNotFound { .. })
    }

    /// Whether the command to run exists and cannot be executed (a shell's 126).
    pub fn is_not_executable(&self) -> bool {
        matches!(
            self.kind,
            Kind::NotExecutable { .. } | Kind::NotStarted { .. }
        )
    }

    /// Whether the reader of standard output went away, as `| head` does: nobody is left to tell.
    pub fn is_broken_pipe(&self) -> bool {
        match &self.kind {
            Kind::NotWritten { to: None, source } => source.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Usage(message) => f.write_str(message),
            Kind::LibraryNotFound { looked_at } => {
                let places: Vec<_> = looked_at.iter().map(quoted).collect();
                write!(
                    f,
                    "the library libpytrace.so was not found (looked for {}); build it with `cargo build --release \
                     --workspace`, or set PYTRACE_LIBRARY to its path",
                    places.join(" and ")
                )
            }
            Kind::LibrarySettingWrong { path } => write!(
                f,
                "PYTRACE_LIBRARY is {}, which is no file; set it to the path of libpytrace.so, or unset it",
                quoted(path)
            ),
            Kind::LinkNotMade { library, source } => write!(
                f,
                "the library's path {} has a character that LD_PRELOAD cannot carry, and no link to it could be made \
                 ({}); set TMPDIR to a writable folder, or move the library",
                quoted(library),
                reason(source)
            ),
            Kind::ScriptMissing { script } => {
                write!(f, "no such script: {}; check the path", quoted(script))
            }
            Kind::CommandNotFound { program } => write!(
                f,
                "command not found: {}; check its name and PATH",
                quoted(program)
            ),
            Kind::NotExecutable { program, source } => write!(
                f,
                "{} cannot be executed ({}); name a program, or a script that ends in .py",
                quoted(program),
                reason(source)
            ),
            Kind::NotStarted { program, source } => write!(
                f,
                "{} could not be started ({}); try it without pytrace",
                quoted(program),
                reason(source)
            ),
            Kind::OutputFolder { folder, source } => write!(
                f,
                "no capture can be written to the folder {} ({}); choose another one with -o",
                quoted(folder),
                reason(source)
            ),
            Kind::OutputPattern { pattern, found } => write!(
                f,
                "the output {} holds {}; write %p (process id), %n (program name), %h (host), or %% for a percent sign",
                quoted(pattern),
                quoted(found)
            ),
            Kind::OutputIsNoFile { path } => write!(
                f,
                "the output {} is no regular file; name a file that may be made, or `none`",
                quoted(path)
            ),
            Kind::NotReplaced { path, source } => write!(
                f,
                "the existing {} could not be removed ({}); choose another output with -o",
                quoted(path),
                reason(source)
            ),
            Kind::NotOpened { path, source } => write!(
                f,
                "{} could not be read ({}); name a capture that a traced program wrote",
                quoted(path),
                reason(source)
            ),
            Kind::NotACapture { path, found } => write!(
                f,
                "{} is {found}, not a capture; name the file that `pytrace run` wrote",
                quoted(path)
            ),
            Kind::NotDecoded { path, reason } => {
                write!(f, "{} could not be decoded: {reason}", quoted(path))
            }
            Kind::NoCapturesIn { folder } => write!(
                f,
                "the folder {} holds no capture (*.pytrace); name one that a traced program wrote to",
                quoted(folder)
            ),
            Kind::NoneReadable { failures } => match failures.as_slice() {
                [] => write!(f, "no capture was named"),
                [only] => only.fmt(f),
                [first, others @ ..] => {
                    let number = others.len();
                    write!(
                        f,
                        "no capture could be read; {first}; and {number} more alike"
                    )
                }
            },
            Kind::NotWritten { to: None, source } => write!(
                f,
                "standard output could not be written ({}); name a file with -o",
                reason(source)
            ),
            Kind::NotWritten {
                to: Some(path),
                source,
            } => write!(
                f,
                "{} could not be written ({}); choose another file with -o",
                quoted(path),
                reason(source)
            ),
        }
    }
}

impl std::error::Error for Error {}

/// What the system said, without Rust's "(os error 2)".
pub(crate) fn reason(source: &io::Error) -> String {
    let text = source.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// A name in quotes, on one line whatever it holds.
pub fn quoted(name: impl AsRef<OsStr>) -> String {
    format!("'{}'", escape_name(&name.as_ref().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_tells_missing_from_not_executable() {
        let error = |kind| Error::not_started(OsStr::new("x"), io::Error::from(kind));
        assert!(error(io::ErrorKind::NotFound).is_command_not_found());
        assert!(error(io::ErrorKind::PermissionDenied).is_not_executable());
        let no_format = io::Error::from_raw_os_error(rustix::io::Errno::NOEXEC.raw_os_error());
        assert!(Error::not_started(OsStr::new("x"), no_format).is_not_executable());
    }

    #[test]
    fn names_cannot_break_the_line() {
        let error = Error::script_missing(Path::new("a\nb\u{1b}[31m\u{202e}.py"));
        assert_eq!(
            error.to_string(),
            "no such script: 'a\\nb\\x1b[31m\\u202e.py'; check the path"
        );
    }

    #[test]
    fn system_errors_lose_their_number() {
        let source = io::Error::from_raw_os_error(2);
        assert_eq!(reason(&source), "No such file or directory");
    }

    #[test]
    fn only_standard_output_has_a_broken_pipe() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Error::not_written(None, broken()).is_broken_pipe());
        assert!(!Error::not_written(Some(Path::new("x")), broken()).is_broken_pipe());
    }
}
