//! Where an answer goes: standard output, or a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pytrace::error::{Error, Result, quoted};

use super::terminal::Terminal;

/// Writes to the file, or to standard output, which is told what it is.
pub(crate) fn write(
    path: Option<&Path>,
    write: impl FnOnce(Terminal, &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = match path {
        Some(path) => File::create(path).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(Terminal::none(), &mut out)?;
            out.flush()
        }),
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            write(Terminal::of_stdout(), &mut out).and_then(|()| out.flush())
        }
    };
    written.map_err(|source| Error::not_written(path, source))
}

/// Refuses to write over a capture that is read: there would be nothing left to report it from.
pub(crate) fn spares<'a>(
    path: Option<&Path>,
    captures: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let Some((path, written)) = path.and_then(|path| Some((path, file(path)?))) else {
        return Ok(());
    };
    let is_written = |capture: &&Path| file(capture) == Some(written);
    match captures.into_iter().find(is_written) {
        Some(_) => Err(Error::usage(format!(
            "-o {} would write over a capture that is read; choose another file",
            quoted(path)
        ))),
        None => Ok(()),
    }
}
