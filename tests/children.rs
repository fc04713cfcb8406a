//! Children of a traced program: which are traced, what each capture says, who prints.

use crate::support::installation::program;
use crate::support::interpreters::{few, one_per_version, usual};
use crate::support::report::Report;
use crate::support::{Interpreter, Outcome, Traced, for_each};

/// The line of `children.py` that keeps blocks of bytes(911).
const LINE: u32 = 13;

/// How the program starts its child, and the number of blocks that the child keeps.
const WAYS: [(&str, u64); 8] = [
    ("subprocess_child", 101),
    ("shell_child", 103),
    ("fork_child", 107),
    ("fork_exec_child", 109),
    ("fork", 113),
    ("spawn", 113),
    ("forkserver", 113),
    ("exec_self", 127),
];

fn run(interpreter: &Interpreter, way: &str) -> Traced {
    Traced::script(interpreter, "children.py").argument(way)
}

fn reports(outcome: &Outcome) -> Vec<Report> {
    outcome
        .captures()
        .iter()
        .map(|path| Report::of(path))
        .collect()
}

/// Blocks made, and still live, on the line that keeps them.
fn kept(report: &Report) -> (u64, u64) {
    let sites = report.sites_on_line("object", &program("children.py"), LINE);
    let sum = |field: fn(&crate::support::report::Site) -> u64| {
        sites.iter().map(|site| field(site)).sum()
    };
    (sum(|site| site.allocations), sum(|site| site.live_blocks))
}

fn check(interpreter: &Interpreter, way: &str, blocks: u64) {
    let outcome = run(interpreter, way).run().success();
    let plain = run(interpreter, way).untraced().run().success();
    assert_eq!(outcome.stdout, plain.stdout);
    assert!(
        !outcome.stderr.contains("Warning"),
        "a warning that is ours:\n{}",
        outcome.stderr
    );
    let lines = outcome.stderr.lines();
    let summaries = lines
        .filter(|line| line.starts_with("pytrace report "))
        .count();
    assert_eq!(
        summaries, 1,
        "one summary for the whole tree:\n{}",
        outcome.stderr
    );

    let reports = reports(&outcome);
    assert!(
        reports.len() >= 2,
        "captures of the parent and its child: {:?}",
        outcome.captures()
    );
    for report in &reports {
        report.assert_exact();
        assert_eq!(report.process.tree, reports[0].process.tree, "one tree");
        assert!(
            !report.process.python_version.is_empty(),
            "{:?}",
            report.process
        );
    }
    if !interpreter.has_stacks() {
        return;
    }
    let of_child: Vec<_> = reports
        .iter()
        .filter(|report| kept(report) == (blocks, blocks))
        .collect();
    let [child] = of_child[..] else {
        panic!(
            "one capture with {blocks} blocks: {:?}",
            reports.iter().map(kept).collect::<Vec<_>>()
        );
    };
    assert_eq!(child.process.ended, "exit");
    let root: u32 = child
        .process
        .tree
        .rsplit(':')
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("<id>:<root pid>");
    match way {
        "exec_self" => {
            assert_eq!(child.process.pid, root);
            assert_eq!(
                reports
                    .iter()
                    .filter(|report| report.process.ended == "exec")
                    .count(),
                1
            );
        }
        "forkserver" | "shell_child" => assert_ne!(child.process.pid, root),
        _ => assert_eq!(child.process.parent_pid, root),
    }
    if way == "fork_child" {
        let parent = reports
            .iter()
            .find(|report| report.process.pid == root)
            .expect("the parent has a capture");
        assert_eq!(kept(parent), (50, 50), "the parent keeps its own blocks");
        let freed = child.quality.inherited_frees;
        assert!(
            freed >= 50,
            "the child freed 50 blocks of its parent's, {freed} were counted"
        );
    }
}

/// Those by which a child has its parent's memory, has its own, and is its parent: on every interpreter. The others are ways of
/// libraries to these.
const PRIMITIVE: [&str; 3] = ["fork_child", "subprocess_child", "exec_self"];

#[test]
fn every_child_has_a_capture_of_its_own() {
    let few: Vec<_> = few().into_iter().map(|one| &one.name).collect();
    let cells = one_per_version()
        .flat_map(|python| WAYS.map(|(way, blocks)| (python, way, blocks)))
        .filter(|(python, way, _)| few.contains(&&python.name) || PRIMITIVE.contains(way));
    for_each(
        cells,
        |(python, way, _)| format!("{} {way}", python.name),
        |(python, way, blocks)| check(python, way, *blocks),
    );
}

#[test]
fn children_are_left_alone_when_told_so() {
    for (way, _) in WAYS {
        let outcome = run(usual(), way)
            .set("PYTRACE_CHILDREN", "none")
            .run()
            .success();
        let reports = reports(&outcome);
        assert_eq!(reports.len(), 1, "{way}: {:?}", outcome.captures());
        let root = reports[0]
            .process
            .tree
            .rsplit(':')
            .next()
            .map(str::to_owned);
        assert_eq!(
            root,
            Some(reports[0].process.pid.to_string()),
            "{way}: the parent's capture"
        );
    }
}

/// A child that lives on must not keep on the disk what its parent has long written anew.
#[test]
fn a_forked_child_holds_none_of_its_parents_files_open() {
    let code = "import os, time
def held():
    own = os.scandir('/proc/self/fd')
    links = [os.readlink(entry.path) for entry in own if os.path.lexists(entry.path)]
    return sum('/captures/' in link or 'statm' in link for link in links)
time.sleep(0.4)
print(held(), flush=True)
child = os.fork()
if child == 0:
    print(held(), flush=True)
    os._exit(0)
os.waitpid(child, 0)";
    for children in ["python", "none"] {
        let outcome = Traced::python(usual())
            .arguments(["-S", "-c", code])
            .set("PYTRACE_CHILDREN", children)
            .set("PYTRACE_INTERVAL_MS", "100")
            .run()
            .success();
        assert_eq!(outcome.stdout, "2\n0\n", "children: {children}");
    }
}
