//! The files that tell what is in a module: itself, and where its debug information was put.
//!
//! Invariant: a file is believed only when its build id is the one in the capture, so a library that was replaced since then
//! gives no names instead of wrong ones. Files that never had a build id are believed: nothing tells that they changed.
//! Debug files are believed when they have the same build id, or else the checksum that the module names.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::read::ReadCache;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

use crate::error::reason;

/// Where distributions install debug information.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// An ELF file whose parts are read when they are asked for.
pub(super) type Elf<'data> = ElfFile64<'data, Endianness, &'data ReadCache<File>>;

/// Files that tell about one module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Those with symbols, the best one first.
    pub(super) symbols: Vec<PathBuf>,
    /// The one with lines and inlined functions.
    pub(super) lines: Option<PathBuf>,
    /// What that one shares with others.
    pub(super) supplement: Option<PathBuf>,
}

/// Why a module is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Its build id is another one.
    Changed,
    /// It has a build id now and had none, as far as the capture knows.
    Unknown,
    /// It is not there, or is no ELF file.
    Unreadable(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::Changed => "the file has changed since the capture",
            Doubt::Unknown => {
                "the capture has no build id to tell whether the file is still the same"
            }
            Doubt::Unreadable(reason) => reason,
        })
    }
}

impl Files {
    /// The files of the module at `path`, or why it is not believed.
    pub(super) fn of_module(path: &Path, build_id: &[u8]) -> Result<Files, Doubt> {
        let module = open(path).map_err(Doubt::Unreadable)?;
        let found = Contents::of(&module).map_err(Doubt::Unreadable)?;
        if found.build_id != build_id {
            return Err(match build_id {
                [] => Doubt::Unknown,
                _ => Doubt::Changed,
            });
        }
        let mut files = Files {
            symbols: vec![path.to_path_buf()],
            ..Files::default()
        };
        let mut with_lines = found.has_lines.then(|| (path.to_path_buf(), found.shared));
        if with_lines.is_none()
            && let Some((debug_path, shared)) = debug_file(path, build_id, found.link.as_ref())
        {
            files.symbols.insert(0, debug_path.clone());
            with_lines = Some((debug_path, shared));
        }
        if let Some((lines, shared)) = with_lines {
            files.supplement = shared.and_then(|shared| supplement(&lines, &shared));
            files.lines = Some(lines);
        }
        Ok(files)
    }
}

/// What a file says of itself.
struct Contents {
    build_id: Vec<u8>,
    has_lines: bool,
    link: Option<DebugLink>,
    shared: Option<Shared>,
}

/// `.gnu_debuglink`: the name of the debug file, without a folder, and its checksum.
struct DebugLink {
    name: PathBuf,
    checksum: u32,
}

/// `.gnu_debugaltlink`: where the debug information is that several files share.
struct Shared {
    path: PathBuf,
    build_id: Vec<u8>,
}

impl Contents {
    fn of(file: &ReadCache<File>) -> Result<Contents, String> {
        let elf = parse(file)?;
        let as_path = |name: &[u8]| PathBuf::from(OsStr::from_bytes(name));
        let link = elf.gnu_debuglink().ok().flatten();
        let shared = elf.gnu_debugaltlink().ok().flatten();
        Ok(Contents {
            build_id: elf.build_id().ok().flatten().unwrap_or_default().to_vec(),
            has_lines: elf
                .section_by_name(".debug_info")
                .is_some_and(|section| section.file_range().is_some_and(|(_, bytes)| bytes > 0)),
            link: link.map(|(name, checksum)| DebugLink {
                name: as_path(name),
                checksum,
            }),
            shared: shared.map(|(path, build_id)| Shared {
                path: as_path(path),
                build_id: build_id.to_vec(),
            }),
        })
    }
}

/// Opens a file, and nothing else: reading a device or a pipe could last for ever.
pub(super) fn open(path: &Path) -> Result<ReadCache<File>, String> {
    let not_opened =
        |error: &std::io::Error| format!("the file cannot be opened ({})", reason(error));
    let metadata = fs::metadata(path).map_err(|error| not_opened(&error))?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_string());
    }
    let file = File::open(path).map_err(|error| not_opened(&error))?;
    Ok(ReadCache::new(file))
}

pub(super) fn parse(file: &ReadCache<File>) -> Result<Elf<'_>, String> {
    ElfFile64::parse(file).map_err(|error| format!("the file cannot be read ({error})"))
}

/// The file that debug information was moved to, by the build id or by the module's own word.
fn debug_file(
    module: &Path,
    build_id: &[u8],
    link: Option<&DebugLink>,
) -> Option<(PathBuf, Option<Shared>)> {
    let is_believed = |path: &Path, contents: &Contents| match link {
        _ if !build_id.is_empty() && contents.build_id == build_id => true,
        Some(link) if build_id.is_empty() || contents.build_id.is_empty() => {
            checksum(path).ok() == Some(link.checksum)
        }
        _ => false,
    };
    let linked = link.into_iter().flat_map(|link| linked(module, &link.name));
    let candidates = by_build_id(build_id).into_iter().chain(linked);
    candidates.into_iter().find_map(|path| {
        let contents = Contents::of(&open(&path).ok()?).ok()?;
        let is_found = contents.has_lines && is_believed(&path, &contents);
        is_found.then_some((path, contents.shared))
    })
}

/// `/usr/lib/debug/.build-id/ab/cdef….debug`
fn by_build_id(build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{DEBUG_FOLDER}/.build-id/{first:02x}/{rest}.debug");
    Some(PathBuf::from(name))
}

/// Where a debug file of this name may be: beside the module, in `.debug` there, or in the same folder below
/// `/usr/lib/debug`; by the module's path as it was loaded, and as it really is.
fn linked(module: &Path, name: &Path) -> Vec<PathBuf> {
    // A name with folders could lead anywhere.
    let Some(name) = name.file_name() else {
        return Vec::new();
    };
    let real = module.canonicalize().ok();
    let folders = [Some(module), real.as_deref()].into_iter().flatten();
    let folders = folders.filter_map(Path::parent);
    folders
        .flat_map(|folder| {
            let below = folder.strip_prefix("/").unwrap_or(folder);
            [
                folder.join(name),
                folder.join(".debug").join(name),
                Path::new(DEBUG_FOLDER).join(below).join(name),
            ]
        })
        .collect()
}

/// The file with what `lines` shares with others.
fn supplement(lines: &Path, shared: &Shared) -> Option<PathBuf> {
    let real = lines.canonicalize().ok();
    let beside = real.as_deref().and_then(Path::parent);
    let stated = beside.map(|folder| folder.join(&shared.path));
    let candidates = stated.into_iter().chain(by_build_id(&shared.build_id));
    candidates.into_iter().find(|path| {
        let contents = open(path).and_then(|file| Contents::of(&file));
        contents.is_ok_and(|contents| contents.build_id == shared.build_id)
    })
}

/// The checksum of `.gnu_debuglink`: CRC-32 of the whole file.
fn checksum(path: &Path) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_build_id_is_not_believed() {
        let path = std::env::current_exe().unwrap();
        let error = |path: &Path, build_id: &[u8]| {
            let doubt = Files::of_module(path, build_id).unwrap_err();
            doubt.to_string()
        };
        assert_eq!(
            error(&path, b"another"),
            "the file has changed since the capture"
        );
        assert!(error(Path::new("/no/such/file"), b"").starts_with("the file cannot be opened"));
        assert_eq!(error(Path::new("/dev/zero"), b""), "it is no regular file");
        let own_source = Path::new(env!("CARGO_MANIFEST_DIR")).join(file!());
        assert!(error(&own_source, b"").starts_with("the file cannot be read"));
    }

    #[test]
    fn debug_files_are_looked_for_beside_and_below() {
        let places = linked(Path::new("/no/lib/liba.so.1"), Path::new("../x/liba.debug"));
        let expected = [
            "/no/lib/liba.debug",
            "/no/lib/.debug/liba.debug",
            "/usr/lib/debug/no/lib/liba.debug",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
        assert_eq!(
            by_build_id(&[0xab, 0xcd, 0x01]),
            Some(PathBuf::from("/usr/lib/debug/.build-id/ab/cd01.debug"))
        );
        assert_eq!(by_build_id(&[]), None);
    }
}
