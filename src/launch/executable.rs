//! What an executable file says about its loader: whether LD_PRELOAD can have an effect on it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, Machine};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};

/// The kinds of executable files that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executable {
    /// A dynamic program with this loader.
    Dynamic {
        /// The loader's path, as the program names it.
        loader: PathBuf,
    },
    /// A program without a loader: nothing can be loaded into it.
    Static,
    /// A program for another machine (or another word size).
    Foreign,
    /// A text file whose first line names an interpreter.
    Script {
        /// That line, without `#!`.
        interpreter: String,
    },
    /// None of these.
    Unknown,
}

impl Executable {
    /// Looks at a file; one that cannot be read is `Unknown`.
    pub fn of_file(path: &Path) -> Executable {
        File::open(path).map_or(Executable::Unknown, |file| {
            read(file).unwrap_or(Executable::Unknown)
        })
    }

    /// Why the library is not loaded into this program, in words that follow the program's name.
    pub fn why_not_loaded(&self) -> Option<&'static str> {
        match self {
            Executable::Static => {
                Some("is linked statically, so no library can be preloaded into it")
            }
            Executable::Foreign => Some("is built for another architecture than libpytrace.so"),
            Executable::Dynamic { loader } if is_musl(loader) => {
                Some("runs on musl libc, and libpytrace.so is built for glibc")
            }
            _ => None,
        }
    }
}

fn is_musl(loader: &Path) -> bool {
    loader
        .file_name()
        .is_some_and(|name| name.as_bytes().starts_with(b"ld-musl"))
}

fn read(mut file: File) -> Option<Executable> {
    let mut start = Vec::new();
    file.by_ref().take(256).read_to_end(&mut start).ok()?;
    if let Some(rest) = start.strip_prefix(b"#!") {
        let line = rest.split(|&byte| byte == b'\n').next()?;
        let interpreter = String::from_utf8_lossy(line).trim().to_string();
        return Some(Executable::Script { interpreter });
    }
    if !start.starts_with(b"\x7fELF") {
        return None;
    }
    let cache = ReadCache::new(file);
    let Ok(header) = FileHeader64::<Endianness>::parse(&cache) else {
        return Some(Executable::Foreign);
    };
    let endian = header.endian().ok()?;
    if header.e_machine(endian) != this_machine() {
        return Some(Executable::Foreign);
    }
    let segments = header.program_headers(endian, &cache).ok()?;
    for segment in segments {
        if let Ok(Some(loader)) = segment.interpreter(endian, &cache) {
            let loader = PathBuf::from(OsStr::from_bytes(loader));
            return Some(Executable::Dynamic { loader });
        }
    }
    Some(Executable::Static)
}

const fn this_machine() -> Machine {
    if cfg!(target_arch = "aarch64") {
        EM_AARCH64
    } else {
        EM_X86_64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_dynamic() {
        let executable = Executable::of_file(&std::env::current_exe().unwrap());
        assert!(
            matches!(executable, Executable::Dynamic { .. }),
            "{executable:?}"
        );
    }

    #[test]
    fn scripts_and_rubbish_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for (content, expected) in [
            (
                "#! /bin/sh -e\nexit\n",
                Executable::Script {
                    interpreter: "/bin/sh -e".to_string(),
                },
            ),
            ("\x7fELF\x01\x01\x01", Executable::Foreign),
            ("hello", Executable::Unknown),
            ("", Executable::Unknown),
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(Executable::of_file(&file), expected, "{content:?}");
        }
    }

    #[test]
    fn musl_is_recognised_by_its_loader() {
        let with = |loader: &str| Executable::Dynamic {
            loader: PathBuf::from(loader),
        };
        assert!(with("/lib/ld-musl-x86_64.so.1").why_not_loaded().is_some());
        assert!(
            with("/lib64/ld-linux-x86-64.so.2")
                .why_not_loaded()
                .is_none()
        );
    }
}
