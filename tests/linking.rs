//! How the library is linked: its exports, imports, protections and thread-local storage.

use object::elf::{
    DF_1_NODELETE, DF_1_NOW, DF_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DynamicTag, PF_X, PT_GNU_RELRO,
    PT_GNU_STACK, PT_TLS, R_X86_64_DTPMOD64, R_X86_64_TLSDESC, RelocationType,
};
use object::read::elf::{Dyn, ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, ObjectSymbolTable, RelocationFlags};

use crate::support::installation::library;

/// Everything that the library exports: what stands in front of libc's functions, and what programs may call.
const EXPORTS: [&str; 33] = [
    "_Exit",
    "_exit",
    "abort",
    "aligned_alloc",
    "calloc",
    "cfree",
    "dlclose",
    "execv",
    "execve",
    "fexecve",
    "free",
    "free_aligned_sized",
    "free_sized",
    "kill",
    "malloc",
    "malloc_usable_size",
    "memalign",
    "mmap",
    "mmap64",
    "mremap",
    "munmap",
    "posix_memalign",
    "pvalloc",
    "pytrace_flush",
    "pytrace_mark",
    "pytrace_pause",
    "pytrace_resume",
    "realloc",
    "reallocarray",
    "setlocale",
    "setns",
    "unshare",
    "valloc",
];

/// Most bytes of thread-local storage.
const MOST_TLS_BYTES: u64 = 256;

/// libc's streams: nothing of ours may wait for the lock of one, which the program may hold while it allocates.
const STREAMS: &[&str] = &[
    "stdin",
    "stdout",
    "stderr",
    "fopen",
    "fopen64",
    "fdopen",
    "fclose",
    "fflush",
    "fread",
    "fwrite",
    "fputs",
    "fputc",
    "fgets",
    "fgetc",
    "fprintf",
    "vfprintf",
    "printf",
    "vprintf",
    "puts",
    "putchar",
    "getline",
    "fscanf",
    "perror",
    "__fprintf_chk",
    "__printf_chk",
    "__vfprintf_chk",
    "popen",
    "setvbuf",
    "opendir",
    "syslog",
];

fn with_library<T>(use_it: impl FnOnce(&ElfFile64<'_>) -> T) -> T {
    let bytes = std::fs::read(library()).expect("the library can be read");
    use_it(&ElfFile64::parse(&*bytes).expect("an ELF file"))
}

fn names(file: &ElfFile64<'_>, defined: bool) -> Vec<String> {
    let table = file
        .dynamic_symbol_table()
        .expect("a shared library has one");
    let mut names: Vec<String> = table
        .symbols()
        .filter(|symbol| symbol.is_definition() == defined)
        .map(|symbol| symbol.name().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn f17_the_exports_are_those_that_are_meant() {
    with_library(|file| assert_eq!(names(file, true), EXPORTS));
}

#[test]
fn f05_no_stream_of_libcs_is_imported() {
    with_library(|file| {
        let streams = names(file, false)
            .into_iter()
            .filter(|name| STREAMS.contains(&name.as_str()))
            .collect::<Vec<_>>();
        assert_eq!(streams, Vec::<String>::new());
    });
}

#[test]
fn f16_it_is_bound_when_loaded_protected_then_and_never_unloaded() {
    with_library(|file| {
        let data = file.data();
        let endian = Endianness::Little;
        let headers = file.elf_program_headers();
        let flags = |tag: DynamicTag| {
            headers
                .iter()
                .find_map(|header| header.dynamic(endian, data).expect("readable"))
                .expect("a shared library has a dynamic section")
                .iter()
                .filter(|entry| entry.d_tag(endian) == tag)
                .fold(0, |flags, entry| flags | entry.d_val(endian))
        };
        assert_ne!(flags(DT_FLAGS) & DF_BIND_NOW.0, 0, "BIND_NOW");
        assert_ne!(flags(DT_FLAGS_1) & DF_1_NOW.0, 0, "NOW");
        assert_ne!(flags(DT_FLAGS_1) & DF_1_NODELETE.0, 0, "NODELETE");
        let has = |kind| headers.iter().find(|header| header.p_type(endian) == kind);
        assert!(has(PT_GNU_RELRO).is_some(), "RELRO");
        let stack = has(PT_GNU_STACK).expect("says what stacks may be");
        assert_eq!((stack.p_flags(endian) & PF_X).0, 0, "an executable stack");
    });
}

/// The loader sets static thread-local storage of 1664 bytes aside for libraries that are opened later; one that is preloaded
/// is counted in, but every thread pays for it.
#[test]
fn f12_thread_local_storage_is_small() {
    with_library(|file| {
        let bytes: u64 = file
            .elf_program_headers()
            .iter()
            .filter(|header| header.p_type(Endianness::Little) == PT_TLS)
            .map(|header| header.p_memsz(Endianness::Little))
            .sum();
        assert!((1..=MOST_TLS_BYTES).contains(&bytes), "{bytes} bytes");
    });
}

/// Thread-locals of the standard library's go through the loader; the hooks' own word does not. One relocation stands for all of
/// the former: the module's number.
#[test]
fn f11_only_the_standard_librarys_thread_locals_are_asked_of_the_loader() {
    with_library(|file| {
        let dynamic: Vec<RelocationType> = file
            .dynamic_relocations()
            .expect("a shared library has some")
            .filter_map(|(_, relocation)| match relocation.flags() {
                RelocationFlags::Elf { r_type } => Some(r_type),
                _ => None,
            })
            .filter(|kind| [R_X86_64_DTPMOD64, R_X86_64_TLSDESC].contains(kind))
            .collect();
        assert_eq!(dynamic, [R_X86_64_DTPMOD64]);
    });
}
