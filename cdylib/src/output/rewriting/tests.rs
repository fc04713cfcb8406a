//! Captures that are written anew: whole at every moment, under their name, with what the program did to them meanwhile.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pytrace_format::Decoder;
use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::{End, Ended, Stack};

use super::super::capture::Capture;
use super::*;

fn nobody_waits() -> bool {
    false
}

/// A folder of the test's own, and a capture in it whose first record says `at_ns: 1`.
fn capture(test: &str) -> (PathBuf, Capture) {
    let name = format!("pytrace-rewriting-{test}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).expect("a fresh folder");
    let mut capture = Capture::new();
    assert!(capture.open(&folder.join("capture").to_string_lossy()));
    capture.push(&at(1));
    capture.write();
    (folder, capture)
}

fn at(at_ns: u64) -> Record {
    Record::End(End {
        ended: Ended::Running,
        at_ns,
    })
}

fn stack(parent: u32) -> Record {
    Record::Stack(Stack {
        parent: StackId(parent),
        frame: FrameId(parent + 7),
    })
}

fn records(path: PathBuf) -> Vec<Record> {
    let bytes = fs::read(path).expect("a file");
    let records: Result<Vec<Record>, _> = Decoder::new(&bytes[..]).collect();
    records.expect("a whole capture")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_given_takes_the_place_of_what_was() {
    let (folder, mut capture) = capture("place");
    let file = folder.join("capture");
    for parent in 0..3 {
        capture.push(&stack(parent));
    }
    capture.write();
    let before = fs::metadata(&file).expect("there");
    capture.rewrite(&nobody_waits, |sink| {
        sink(stack(0));
        sink(at(5));
    });
    assert_eq!(records(file.clone()), [stack(0), at(5)]);
    let after = fs::metadata(&file).expect("there");
    assert_ne!(before.ino(), after.ino());
    assert_eq!(after.mode() & 0o777, 0o600);
    // Rows of stacks go on where the new file's end.
    capture.push(&stack(1));
    capture.write();
    assert_eq!(records(file), [stack(0), at(5), stack(1)]);
    assert_eq!(names(&folder), ["capture"]);
    fs::remove_dir_all(&folder).expect("removable");
}

/// A capture whose file is changed so is appended to, not written anew: before it is tried, and while the new one is written.
fn assert_appended_to_when(case: &str, change: impl Fn(&Path)) {
    for is_meanwhile in [false, true] {
        let (folder, mut capture) = capture(case);
        let kept = fs::File::open(folder.join("capture")).expect("there");
        if is_meanwhile {
            capture.rewrite(&nobody_waits, |_| change(&folder));
        } else {
            change(&folder);
            capture.rewrite(&nobody_waits, |_| panic!("{case}: was written anew"));
        }
        capture.push(&at(2));
        capture.write();
        let whole: Result<Vec<Record>, _> = Decoder::new(kept).collect();
        assert_eq!(whole.expect("a whole capture"), [at(1), at(2)], "{case}");
        if let Ok(others) = fs::read(folder.join("capture")) {
            assert!(case != "moved" || others == b"another's");
        }
        let is_beside = |name: &String| name.contains(".new");
        assert!(!names(&folder).iter().any(is_beside), "{case}");
        fs::remove_dir_all(&folder).expect("removable");
    }
}

#[test]
fn what_cannot_be_replaced_is_appended_to() {
    assert_appended_to_when("linked", |folder| {
        fs::hard_link(folder.join("capture"), folder.join("linked")).expect("linkable");
    });
    assert_appended_to_when("removed", |folder| {
        fs::remove_file(folder.join("capture")).expect("removable");
    });
    assert_appended_to_when("shown", |folder| {
        let all = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.join("capture"), all).expect("ours");
    });
    assert_appended_to_when("moved", |folder| {
        fs::rename(folder.join("capture"), folder.join("moved")).expect("movable");
        fs::write(folder.join("capture"), "another's").expect("writable");
    });
}

#[test]
fn a_new_files_name_is_one_that_the_system_takes() {
    assert_eq!(name_beside("/a/b"), Some("/a/b.new".to_owned()));
    let long = format!("/a/x{}", "é".repeat(126));
    let beside = name_beside(&long).expect("a name");
    assert!(beside.ends_with("éé.new") && beside.len() < "/a/".len() + 250);
    assert_eq!(name_beside(&"/1234567".repeat(511)), None);
    assert_eq!(name_beside("no-folder"), None);
    let (folder, mut short) = capture("name");
    let path = folder.join("y".repeat(253));
    let mut capture = Capture::new();
    assert!(capture.open(&path.to_string_lossy()));
    for capture in [&mut capture, &mut short] {
        capture.push(&at(1));
        capture.write();
        capture.rewrite(&nobody_waits, |sink| sink(at(5)));
    }
    assert_eq!(records(path), [at(5)]);
    assert_eq!(names(&folder).len(), 2);
    fs::remove_dir_all(&folder).expect("removable");
}

#[test]
fn trouble_on_the_way_leaves_the_capture_as_it_was() {
    let (folder, mut capture) = capture("trouble");
    // The program closes what is not its own, and opens a file at that number.
    let mine = || -> Vec<i32> { (900..1000).filter(|fd| is_in(*fd, &folder)).collect() };
    let old = mine();
    let victim = fs::File::create(folder.join("victim")).expect("creatable");
    capture.rewrite(&nobody_waits, |sink| {
        sink(at(2));
        let fresh: Vec<i32> = mine().into_iter().filter(|fd| !old.contains(fd)).collect();
        assert_eq!(fresh.len(), 1, "the new file's descriptor");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&victim);
        // SAFETY: the number is the library's, whose loss is what is tested.
        assert_eq!(unsafe { libc::dup2(fd, fresh[0]) }, fresh[0]);
    });
    capture.push(&at(3));
    capture.write();
    assert_eq!(records(folder.join("capture")), [at(1), at(3)]);
    assert_eq!(fs::read(folder.join("victim")).expect("there"), b"");
    assert_eq!(names(&folder), ["capture", "victim"]);
    fs::remove_dir_all(&folder).expect("removable");
}

#[test]
fn it_is_given_up_when_somebody_waits() {
    let (folder, mut capture) = capture("waited");
    let new_bytes = || -> u64 {
        let new = (900..1000)
            .filter(|fd| is_in(*fd, &folder))
            .map(|fd| fs::metadata(format!("/proc/self/fd/{fd}")).expect("open"));
        new.filter(|file| file.nlink() == 0 || file.len() > MOST_PENDING_BYTES as u64)
            .map(|file| file.len())
            .sum()
    };
    let somebody_waits = std::cell::Cell::new(false);
    capture.rewrite(&|| somebody_waits.get(), |sink| {
        let text = |number| Record::String(format!("{number:060000}"));
        (0..40).for_each(|number| sink(text(number)));
        let before = new_bytes();
        assert!(before > 0);
        somebody_waits.set(true);
        (40..100).for_each(|number| sink(text(number)));
        assert_eq!(new_bytes(), before);
    });
    capture.push(&at(2));
    capture.write();
    assert_eq!(records(folder.join("capture")), [at(1), at(2)]);
    assert_eq!(names(&folder), ["capture"]);
    fs::remove_dir_all(&folder).expect("removable");
}

/// Whether a descriptor is of a file in the folder, named or not.
fn is_in(fd: i32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| path.starts_with(folder))
}

#[test]
fn a_file_is_worth_rewriting_when_most_of_it_was_superseded() {
    let mut file = OwnFile::create_unnamed("/tmp/x").expect("a file system with such files");
    let almost = vec![0; WORTH_REWRITING_BYTES as usize - 1];
    file.write(&almost).expect("room");
    let (small, large) = (Limit::after(0), Limit::after(WORTH_REWRITING_BYTES / 2));
    assert!(!small.is_reached_by(&file));
    file.write(b"x").expect("room");
    assert!(small.is_reached_by(&file) && !large.is_reached_by(&file));
    file.write(&vec![0; WORTH_REWRITING_BYTES as usize / 2])
        .expect("room");
    assert!(large.is_reached_by(&file));
    file.close();
}
