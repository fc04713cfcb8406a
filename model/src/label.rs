//! What people call a frame: the short forms of paths, modules and native addresses. All results are safe to print.

use pytrace_format::ids::FrameId;
use pytrace_format::record::Frame;

use crate::Model;
use crate::text::escape_name;

/// A source path without what the reader knows anyway: the folder of the standard library or of installed packages.
pub fn source_path(path: &str) -> String {
    let mut rest = path;
    for folder in ["/site-packages/", "/dist-packages/"] {
        if let Some(at) = rest.rfind(folder) {
            rest = &rest[at + folder.len()..];
        }
    }
    if let Some(inside) = inside_standard_library(rest) {
        rest = inside;
    }
    escape_name(if rest.is_empty() { path } else { rest })
}

/// Whether the file belongs to the standard library or an installed package, as opposed to the program at hand.
pub fn is_installed(path: &str) -> bool {
    path.contains("/site-packages/")
        || path.contains("/dist-packages/")
        || path.starts_with("<frozen ")
        || inside_standard_library(path).is_some()
}

/// The part after `/lib/python3.N/`.
fn inside_standard_library(path: &str) -> Option<&str> {
    const FOLDER: &str = "/lib/python3";
    let after = &path[path.rfind(FOLDER)? + FOLDER.len()..];
    let (version, inside) = after.split_once('/')?;
    let is_version = version
        .chars()
        .all(|part| part.is_ascii_digit() || part == '.' || part == 't');
    is_version.then_some(inside)
}

/// A module's file without folder, version and platform: `libpython3.11.so`, `_multiarray_umath.so`.
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let Some(suffix) = file.find(".so") else {
        return escape_name(file);
    };
    let stem = &file[..suffix];
    let platform = [".cpython-", ".abi3", ".pypy"]
        .iter()
        .filter_map(|tag| stem.find(tag))
        .min();
    escape_name(&stem[..platform.unwrap_or(stem.len())]) + ".so"
}

/// The function of a native frame and the name of its module (empty when unknown). Without a name, the function is the
/// address: `libfoo.so+0x1234`.
pub fn native(model: &Model, id: FrameId, frame: &Frame) -> Option<(String, String)> {
    let Frame::Native { module, address } = *frame else {
        return None;
    };
    let module = module_name(model.module_path(module));
    let function = model
        .native_names
        .get(&id)
        .map_or("", |name| model.string(name.function));
    Some(match (function, module.as_str()) {
        ("", "") => (format!("{address:#x}"), String::new()),
        ("", _) => (format!("{module}+{address:#x}"), String::new()),
        (function, _) => (escape_name(function), module),
    })
}

/// The functions of a native frame, innermost first, each as a line of a stack:
/// `unicode_new (libpython3.11.so, inlined)  Objects/unicodeobject.c:1234`, with the parts that are known.
pub fn native_lines(model: &Model, id: FrameId, frame: &Frame) -> Vec<String> {
    let Some((holder, module)) = native(model, id, frame) else {
        return Vec::new();
    };
    let lines = model.native_code(id).map(|code| {
        let (function, remarks) = match (code.is_inlined, module.as_str()) {
            (true, "") => (escape_name(code.function), " (inlined)".to_owned()),
            (true, module) => (escape_name(code.function), format!(" ({module}, inlined)")),
            (false, "") => (holder.clone(), String::new()),
            (false, module) => (holder.clone(), format!(" ({module})")),
        };
        let source = native_source(code.file, code.line);
        format!("{function}{remarks}{source}")
    });
    lines.collect()
}

/// Two spaces, and a source file with its folder and line, which tell it from others of the program that was compiled;
/// nothing when it is unknown.
fn native_source(file: &str, line: u32) -> String {
    let from = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    let short = escape_name(&file[from..]);
    match (short.as_str(), line) {
        ("", _) => String::new(),
        (short, 0) => format!("  {short}"),
        (short, line) => format!("  {short}:{line}"),
    }
}

/// A demangled C++ function without its return type and parameters: `int ns::f<int, 3>(long*)` is `ns::f<int, 3>`. Other
/// names are kept as they are.
pub fn without_parameters(function: &str) -> &str {
    let is_cut = function.ends_with(')') || function.ends_with(") const");
    if !is_cut || function.contains("operator") {
        return function;
    }
    // Outside of all brackets: where the last parameters begin, and the last space before them.
    let (mut depth, mut begin, mut space) = (0usize, 0, None);
    let mut end = function.len();
    for (at, character) in function.char_indices() {
        match character {
            '(' | '<' | '[' | '{' => {
                if depth == 0 && character == '(' {
                    end = at;
                    begin = space.unwrap_or(0);
                }
                depth += 1;
            }
            ')' | '>' | ']' | '}' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => space = Some(at + 1),
            _ => {}
        }
    }
    match &function[begin..end] {
        "" => function,
        name => name,
    }
}

/// Why the traced process shows functions of a file as addresses, and what helps.
pub fn about_unnamed(file: &str) -> String {
    let package = package_of(file);
    format!(
        "{file}+0x…: not in the file's symbol table, or not found in time; pytrace report looks again, and in debug \
         symbols where they are installed (Debian: {package}-dbg)"
    )
}

/// Why a report shows functions of a file as addresses, and what helps.
pub fn about_addresses(file: &str) -> String {
    let package = package_of(file);
    format!(
        "{file}+0x…: the file's symbol table does not tell; with debug symbols installed (Debian: {package}-dbg) \
         pytrace report names these functions"
    )
}

fn package_of(file: &str) -> &str {
    file.split(".so").next().unwrap_or(file)
}

/// Whether a native function is one of the allocator's own entry points, which unoptimised builds do not leave before
/// the allocation is seen.
pub fn is_allocator(function: &str) -> bool {
    let function = function.trim_start_matches('_');
    let Some((family, call)) = function.split_once('_') else {
        return false;
    };
    let call = call.trim_start_matches("Raw").trim_start_matches("Debug");
    matches!(family, "PyMem" | "PyObject")
        && ["Malloc", "Calloc", "Realloc"]
            .iter()
            .any(|name| call.starts_with(name))
}

/// Whether the file is CPython's import machinery, whose frames tell nothing about who imports.
pub fn is_import_machinery(file: &str) -> bool {
    file.starts_with("<frozen importlib") || file.starts_with("<frozen zipimport")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_folders_are_left_out() {
        for (path, short) in [
            ("/home/ann/app.py", "/home/ann/app.py"),
            (
                "/v/lib/python3.11/site-packages/pandas/io/a.py",
                "pandas/io/a.py",
            ),
            (
                "/usr/lib/python3/dist-packages/yaml/__init__.py",
                "yaml/__init__.py",
            ),
            ("/usr/lib/python3.13t/json/decoder.py", "json/decoder.py"),
            (
                "/home/ann/lib/python3stuff/a.py",
                "/home/ann/lib/python3stuff/a.py",
            ),
            ("<string>", "<string>"),
            ("/x/site-packages/", "/x/site-packages/"),
            ("a\x1b.py", r"a\x1b.py"),
        ] {
            assert_eq!(source_path(path), short);
        }
    }

    #[test]
    fn installed_code_is_told_from_the_program() {
        for path in [
            "/v/lib/python3.11/site-packages/pandas/a.py",
            "/usr/lib/python3.13t/json/decoder.py",
            "<frozen os>",
        ] {
            assert!(is_installed(path), "{path}");
        }
        for path in ["/home/ann/app.py", "app.py", "<string>", ""] {
            assert!(!is_installed(path), "{path}");
        }
    }

    #[test]
    fn modules_lose_version_and_platform() {
        for (path, name) in [
            ("/usr/lib/libpython3.11.so.1.0", "libpython3.11.so"),
            ("/v/_umath.cpython-311-x86_64-linux-gnu.so", "_umath.so"),
            ("/v/_rust.abi3.so", "_rust.so"),
            ("/usr/bin/python3.11", "python3.11"),
            ("", ""),
        ] {
            assert_eq!(module_name(path), name);
        }
    }

    #[test]
    fn c_plus_plus_functions_lose_what_is_not_their_name() {
        for (function, name) in [
            (
                "int ns::sort<ns::tag, long>(long*, void (*)(int))",
                "ns::sort<ns::tag, long>",
            ),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            (
                "std::vector<int, A<int> >::size() const",
                "std::vector<int, A<int> >::size",
            ),
            ("operator new(unsigned long)", "operator new(unsigned long)"),
            (
                "<T as core::fmt::Debug>::fmt",
                "<T as core::fmt::Debug>::fmt",
            ),
            ("list_resize", "list_resize"),
            ("f(", "f("),
            (")(漢)", ")"),
            ("(x)", "(x)"),
            ("", ""),
        ] {
            assert_eq!(without_parameters(function), name);
        }
    }

    #[test]
    fn allocator_entry_points_are_known() {
        for name in [
            "PyObject_Malloc",
            "_PyObject_Realloc",
            "PyMem_RawCalloc",
            "_PyMem_DebugMalloc",
        ] {
            assert!(is_allocator(name), "{name}");
        }
        for name in [
            "PyObject_Call",
            "_PyLong_New",
            "PyMemoryView_FromObject",
            "malloc_hook",
        ] {
            assert!(!is_allocator(name), "{name}");
        }
    }
}
