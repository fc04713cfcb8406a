//! The module that a Python file is, guessed from its path.
//!
//! `sys.path` is not in a capture, so the name begins below the innermost folder that is known to be on it
//! (`site-packages`, `dist-packages`, `lib/python3.x`, a zip archive); elsewhere the file's own name stands.

/// The dotted name, for instance `json.decoder` or `numpy.core`; special names (`<string>`) are kept as they are.
pub fn module_name(file: &str) -> String {
    if let Some(frozen) = file
        .strip_prefix("<frozen ")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return frozen.to_string();
    }
    if file.starts_with('<') {
        return file.to_string();
    }
    let parts: Vec<&str> = file.split('/').filter(|part| !part.is_empty()).collect();
    let begins_after = parts.iter().enumerate().rposition(|(at, part)| {
        matches!(*part, "site-packages" | "dist-packages" | "lib-dynload")
            || part.ends_with(".zip")
            || (is_library_folder(part) && at > 0 && parts[at - 1].starts_with("lib"))
    });
    let inner = match begins_after {
        Some(at) if at + 1 < parts.len() => &parts[at + 1..],
        _ => &parts[parts.len().saturating_sub(1)..],
    };
    let mut names: Vec<&str> = inner.to_vec();
    if let Some(last) = names.last_mut() {
        *last = last.split_once('.').map_or(*last, |(stem, _)| stem);
    }
    if names.len() > 1 && names.last() == Some(&"__init__") {
        names.pop();
    }
    names.join(".")
}

/// `python3.11`, `python3.13t`.
fn is_library_folder(name: &str) -> bool {
    name.strip_prefix("python3.").is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest
                .chars()
                .all(|character| character.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_below_the_known_folders() {
        for (file, name) in [
            ("/usr/lib/python3.11/json/decoder.py", "json.decoder"),
            ("/usr/lib/python3.11/json/__init__.py", "json"),
            (
                "/v/lib/python3.13t/site-packages/numpy/core/fromnumeric.py",
                "numpy.core.fromnumeric",
            ),
            ("/usr/lib/python3/dist-packages/apt.py", "apt"),
            ("/home/me/project/app.py", "app"),
            ("/home/me/project/__init__.py", "__init__"),
            ("app.py", "app"),
            ("/x/lib.zip/pkg/mod.pyc", "pkg.mod"),
            ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
            ("<string>", "<string>"),
            ("", ""),
        ] {
            assert_eq!(module_name(file), name, "{file}");
        }
    }
}
