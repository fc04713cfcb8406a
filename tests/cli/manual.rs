//! `pytrace completions` and `pytrace man`: a shell and groff read them.

use super::Pytrace;
use std::process::{Command, Stdio};

/// The commands that a user sees.
const COMMANDS: [&str; 7] = [
    "run",
    "report",
    "diff",
    "check",
    "doctor",
    "completions",
    "man",
];

/// What bash offers for the last of some words.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let program = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _pytrace pytrace '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let out = Command::new("bash")
        .args(["--norc", "-c", &program])
        .output()
        .expect("bash starts");
    assert!(
        out.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8_lossy(&out.stdout);
    text.split_whitespace().map(str::to_string).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let script = Pytrace::new("completions").word("bash").run();
    assert_eq!((script.code(), script.stderr.as_str()), (0, ""));
    assert_eq!(offered(&script.stdout, &["pytrace", "rep"]), ["report"]);
    assert_eq!(
        offered(&script.stdout, &["pytrace", "check", "--max-a"]),
        ["--max-allocated", "--max-allocations"]
    );
    assert_eq!(
        offered(&script.stdout, &["pytrace", "run", "--native", "f"]),
        ["full"]
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = Pytrace::new("completions").word(shell).run();
        assert_eq!(script.code(), 0);
        for command in COMMANDS {
            assert!(script.stdout.contains(command), "{shell}: {command}");
        }
    }
    let wrong = Pytrace::new("completions").word("basch").run();
    assert!(wrong.refusal().contains("'bash'"));
}

#[test]
fn groff_reads_the_manual_without_a_warning() {
    let answer = Pytrace::new("man").word("pages").run();
    assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
    for command in [&[""], &COMMANDS[..]].concat() {
        let name = format!("pytrace-{command}");
        let name = name.trim_end_matches('-');
        let page = std::fs::read_to_string(answer.path(&format!("pages/{name}.1")))
            .expect("the page is there");
        assert!(
            page.contains(".SH NAME") && page.contains("Examples:"),
            "{page}"
        );
        let groff = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-Kutf8"])
            .arg(answer.path(&format!("pages/{name}.1")))
            .stdin(Stdio::null())
            .output();
        // Where there is no groff, the page's structure is all that is looked at.
        let Ok(groff) = groff else { continue };
        let complaints = String::from_utf8_lossy(&groff.stderr).to_string();
        assert!(
            groff.status.success() && complaints.is_empty(),
            "{name}: {complaints}"
        );
        let text = String::from_utf8_lossy(&groff.stdout).to_string();
        assert!(text.contains(name), "{text}");
    }
    let alone = Pytrace::new("man").run();
    assert_eq!(
        Some(alone.stdout),
        std::fs::read_to_string(answer.path("pages/pytrace.1")).ok()
    );
}

#[test]
fn every_command_has_help_with_examples() {
    for command in COMMANDS {
        for option in ["-h", "--help"] {
            let help = Pytrace::new(command).word(option).run();
            assert_eq!((help.code(), help.stderr.as_str()), (0, ""));
            assert!(help.stdout.contains("Examples:"), "{command}");
            assert!(
                help.stdout.contains(&format!("pytrace {command}")),
                "{command}"
            );
        }
    }
}
