//! Every interpreter of this machine with every allocator and the flags that change its start.

use crate::support::interpreters::{known, unknown};
use crate::support::marker::{assert_counted_exactly, assert_line_is_exact, block_bytes};
use crate::support::{Interpreter, Traced, for_each, installation};

/// A way to start an interpreter: PYTHONMALLOC, other variables, flags.
struct Start {
    interpreter: &'static Interpreter,
    variable: Option<(&'static str, &'static str)>,
    flags: &'static [&'static str],
    /// What the report must call the allocator.
    allocator: String,
}

impl Start {
    fn name(&self) -> String {
        let variable = self.variable.map(|(name, value)| format!("{name}={value}"));
        format!(
            "{} {} {:?}",
            self.interpreter.name,
            variable.unwrap_or_default(),
            self.flags
        )
    }

    fn prepare(&self, mut run: Traced) -> Traced {
        if let Some((name, value)) = self.variable {
            run = run.set(name, value);
        }
        run
    }

    fn marker(&self) -> Traced {
        let run = Traced::python(self.interpreter)
            .arguments(self.flags)
            .argument("-S")
            .argument(installation::program("marker.py"));
        self.prepare(run)
    }
}

fn starts(interpreter: &'static Interpreter) -> Vec<Start> {
    let usual = if interpreter.free_threaded {
        "mimalloc"
    } else {
        "pymalloc"
    };
    let debug = format!("{usual}_debug");
    let start = |variable, flags, allocator: &str| Start {
        interpreter,
        variable,
        flags,
        allocator: allocator.to_owned(),
    };
    let mut all = vec![
        start(None, &[], usual),
        start(None, &["-I"], usual),
        start(None, &["-E"], usual),
        start(None, &["-X", "utf8"], usual),
        start(None, &["-X", "dev"], &debug),
        start(None, &["-I", "-X", "dev"], &debug),
        start(Some(("PYTHONDEVMODE", "1")), &[], &debug),
        start(Some(("PYTHONTRACEMALLOC", "1")), &[], usual),
        start(Some(("LC_ALL", "C")), &[], usual),
    ];
    for value in interpreter.allocators() {
        let allocator = match value {
            "debug" => debug.clone(),
            other => other.to_owned(),
        };
        all.push(start(Some(("PYTHONMALLOC", value)), &[], &allocator));
    }
    all
}

#[test]
fn every_interpreter_under_every_allocator() {
    for_each(known().iter().flat_map(starts), Start::name, |start| {
        let outcome = start.marker().run().success();
        let plain = start.marker().untraced().run().success();
        assert_eq!(outcome.stdout, plain.stdout);
        let report = outcome.report();
        report.assert_exact();
        let (major, minor) = start.interpreter.version;
        let version = &report.process.python_version;
        assert!(
            version.starts_with(&format!("{major}.{minor}.")),
            "python_version {version:?}"
        );
        assert_eq!(
            report.process.free_threaded,
            start.interpreter.free_threaded
        );
        assert_eq!(report.settings.allocator, start.allocator);
        assert_eq!(
            report.pymalloc.is_some(),
            start.allocator.starts_with("pymalloc"),
            "pymalloc part"
        );
        for domain in ["raw", "mem", "object", "malloc", "mmap"] {
            assert!(
                report.domains.contains_key(domain),
                "domain {domain} is missing"
            );
        }
        for domain in ["raw", "mem", "object"] {
            let counters = &report.domains[domain].counters;
            assert!(counters.allocations > 50, "{domain}: {counters:?}");
        }
        assert!(
            report.shutdown.frees > 0
                && report.shutdown.requested_bytes >= report.shutdown.allocations,
            "the tear-down is counted apart: {:?}",
            report.shutdown
        );
        assert!(
            outcome.stderr.contains("pytrace report"),
            "the summary ends with how to open the capture"
        );
        if start.interpreter.has_stacks() {
            assert_line_is_exact(&report, block_bytes(&outcome));
        } else {
            assert_counted_exactly(start.interpreter, |run| start.prepare(run));
        }
    });
}

/// What we do not know is counted all the same, and the output says in one line what is missing.
#[test]
fn an_interpreter_that_is_not_known_is_counted_without_stacks() {
    let (without_hooks, older): (Vec<_>, Vec<_>) =
        unknown().into_iter().partition(|one| one.version < (3, 4));
    for interpreter in without_hooks {
        // No PyMem_SetAllocator: nothing to trace, nothing to break.
        let outcome = Traced::python(&interpreter)
            .arguments(["-c", "print(6 * 7)"])
            .run()
            .success();
        assert_eq!(outcome.stdout, "42\n", "{}", interpreter.name);
    }
    for_each(
        older,
        |one| one.name.clone(),
        |interpreter| {
            assert_counted_exactly(interpreter, |run| run);
            let outcome = Traced::script(interpreter, "marker.py").run().success();
            let says_so = |line: &&str| line.contains("Python stacks");
            assert_eq!(
                outcome.stderr.lines().filter(says_so).count(),
                1,
                "{}",
                outcome.stderr
            );
            let report = outcome.report();
            assert_eq!(
                report
                    .sites()
                    .iter()
                    .filter(|site| site.python().next().is_some())
                    .count(),
                0
            );
        },
    );
}
