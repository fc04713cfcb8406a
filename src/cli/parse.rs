//! From words to options, and from the parser's complaints to one line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::{CommandFactory, Parser};

use super::args::CommandLine;

/// Reads the command line.
pub(crate) fn parse(words: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(with_command_separated(words))
}

/// Puts `--` before the `-m` or `-c` that begins CMD, so that these and all that follows are CMD's and not options.
///
/// Which options take a value is asked of the parser itself.
fn with_command_separated(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_none_or(|word| word != "run") {
        return words;
    }
    let command_line = CommandLine::command();
    let Some(run) = command_line.find_subcommand("run") else {
        return words;
    };
    let takes_value = |is_it: &dyn Fn(&clap::Arg) -> bool| {
        let mut options = run.get_arguments();
        options.any(|option| is_it(option) && option.get_action().takes_values())
    };
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        let value_follows = if bytes == b"--" || !bytes.starts_with(b"-") {
            return words;
        } else if bytes.starts_with(b"-m") || bytes.starts_with(b"-c") {
            words.insert(at, OsString::from("--"));
            return words;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            takes_value(&|option| option.get_long().map(str::as_bytes) == Some(long))
        } else {
            // A cluster like -fo: the value follows if the last letter is the first one that takes a value.
            let letters = &bytes[1..];
            let first = letters.iter().position(|&letter| {
                takes_value(&|option| option.get_short() == Some(char::from(letter)))
            });
            first.is_some_and(|first| first + 1 == letters.len())
        };
        at += if value_follows { 2 } else { 1 };
    }
    words
}

/// The first word, if it is one of the commands.
pub(crate) fn command_in(words: &[OsString]) -> Option<String> {
    let word = words.get(1)?.to_str()?;
    CommandLine::command()
        .find_subcommand(word)
        .map(|command| command.get_name().to_owned())
}

/// The parser's complaint about a command as one line; `None` when it is no error but an answer (`--help`, `--version`).
pub(crate) fn complaint(error: &clap::Error, command: Option<&str>) -> Option<String> {
    if !error.use_stderr() {
        return None;
    }
    let text = error.render().to_string();
    let mut words = Vec::new();
    let mut is_usage = false;
    for line in text.lines().map(str::trim) {
        // The usage may have several lines, and ends with an empty one.
        is_usage = line.starts_with("Usage:") || is_usage && !line.is_empty();
        if is_usage || line.starts_with("For more information") {
            continue;
        }
        words.push(
            line.strip_prefix("error: ")
                .unwrap_or(line)
                .replace("tip: ", "; "),
        );
    }
    let line = words
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let line = line.replace(" ; ", "; ");
    // The advice of the parser, which takes a number below zero for an option.
    let line = match line.split_once("; to pass '-") {
        Some((said, _)) => said.to_owned(),
        None => line,
    };
    let help = command.map_or("pytrace --help".to_owned(), |command| {
        format!("pytrace {command} --help")
    });
    Some(format!("{line} (see `{help}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Subcommands;

    fn parsed(words: &[&str]) -> Result<CommandLine, String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let command = command_in(&words);
        parse(words).map_err(|error| complaint(&error, command.as_deref()).unwrap_or_default())
    }

    fn command_of(words: &[&str]) -> Vec<OsString> {
        match parsed(words).unwrap().command {
            Subcommands::Run(run) => run.command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parser_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_command_keeps_all_its_words() {
        for words in [
            ["pytrace", "run", "-m", "mod", "-o", "x", "--help"].as_slice(),
            ["pytrace", "run", "--", "-m", "mod", "-o", "x", "--help"].as_slice(),
            [
                "pytrace", "run", "-f", "--mode", "sites", "-m", "mod", "-o", "x", "--help",
            ]
            .as_slice(),
            [
                "pytrace",
                "run",
                "-fo",
                "out",
                "--mode=sites",
                "-m",
                "mod",
                "-o",
                "x",
                "--help",
            ]
            .as_slice(),
            ["pytrace", "run", "-ofile", "-m", "mod", "-o", "x", "--help"].as_slice(),
        ] {
            assert_eq!(
                command_of(words),
                ["-m", "mod", "-o", "x", "--help"],
                "{words:?}"
            );
        }
        let words = ["pytrace", "run", "ls", "-c", "--", "-m"];
        assert_eq!(command_of(&words), ["ls", "-c", "--", "-m"]);
        let words = ["pytrace", "run", "-cprint()"];
        assert_eq!(command_of(&words), ["-cprint()"]);
    }

    #[test]
    fn complaints_are_one_line_with_a_suggestion() {
        for (words, parts) in [
            (
                ["pytrace", "run", "--moed", "counts", "x"].as_slice(),
                ["--moed", "--mode"].as_slice(),
            ),
            (
                &["pytrace", "run", "--mode", "all", "x"],
                &["'all'", "possible values: sites, counts, events]"],
            ),
            (
                &["pytrace", "run", "--depth", "9999", "x"],
                &["9999", "4096"],
            ),
            (
                &["pytrace"],
                &["requires a subcommand", "run, report, diff, check, doctor"],
            ),
            (
                &["pytrace", "run"],
                &["<CMD>...", "(see `pytrace run --help`)"],
            ),
            (
                &["pytrace", "diff", "a"],
                &["not provided: <NEW> (see `pytrace diff --help`)"],
            ),
            (
                &["pytrace", "report", "x", "--top", "-1"],
                &["'-1'", "'--top <N>': give a number, such as 20"],
            ),
            (
                &["pytrace", "check", "x", "--max-peak", "-1"],
                &["'-1'", "give a number of bytes"],
            ),
            (
                &["pytrace", "report", "x", "-1"],
                &["unexpected argument '-1' found (see `pytrace report --help`)"],
            ),
            (
                &["pytrace", "reprot", "x"],
                &["reprot", "report", "(see `pytrace --help`)"],
            ),
            (&["pytrace", "report"], &["<FILE>"]),
            (
                &["pytrace", "report", "x", "--metric", "lvie"],
                &["lvie", "live"],
            ),
        ] {
            let complaint = parsed(words).unwrap_err();
            assert!(!complaint.contains('\n'), "{complaint}");
            for part in parts {
                assert!(complaint.contains(part), "{words:?}: {complaint}");
            }
        }
    }

    #[test]
    fn help_is_no_complaint() {
        let error = parse(vec!["pytrace".into(), "run".into(), "--help".into()]).unwrap_err();
        assert_eq!(complaint(&error, Some("run")), None);
    }
}
