//! Processes in the order in which they started each other.

use super::Member;

/// Puts each process before those that it started, and notes how many led to it. What another program was before an exec
/// comes before it, at the same depth.
pub(super) fn put_in_order(members: &mut Vec<Member>) {
    members.sort_by_key(|member| {
        let process = member.process();
        (process.started_at_unix_ns, process.pid, member.path.clone())
    });
    let led_by: Vec<_> = (0..members.len()).map(|at| leader(members, at)).collect();
    let mut children = vec![Vec::new(); members.len()];
    let mut next = Vec::new();
    // Those that are taken last are put in first.
    for (at, leader) in led_by.iter().enumerate().rev() {
        match leader {
            Some((leader, _)) => children[*leader].push(at),
            None => next.push(at),
        }
    }
    let mut unordered: Vec<_> = members.drain(..).map(Some).collect();
    let mut depths = vec![0; unordered.len()];
    while let Some(at) = next.pop() {
        if let Some((leader, step)) = led_by[at] {
            depths[at] = depths[leader] + step;
        }
        next.extend(&children[at]);
        members.extend(unordered[at].take().map(|member| Member {
            depth: depths[at],
            ..member
        }));
    }
}

/// The process of the same run that an earlier member is, and whether it is one level up (1) or the same process before it
/// became another program (0). Numbers are used again: the latest that started before is meant.
fn leader(members: &[Member], at: usize) -> Option<(usize, usize)> {
    let process = members[at].process();
    members[..at]
        .iter()
        .enumerate()
        .rev()
        .find_map(|(row, earlier)| {
            let earlier = earlier.process();
            if earlier.tree != process.tree {
                None
            } else if earlier.pid == process.pid {
                Some((row, 0))
            } else if earlier.pid == process.parent_pid {
                Some((row, 1))
            } else {
                None
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Ending};
    use pytrace_model::Model;
    use pytrace_model::record::Process;
    use std::path::PathBuf;

    fn member(tree: &str, pid: u32, parent_pid: u32, started_at_unix_ns: u64) -> Member {
        let process = Process {
            pid,
            parent_pid,
            started_at_unix_ns,
            tree: tree.into(),
            ..Process::default()
        };
        let model = Model {
            process,
            ..Model::default()
        };
        Member {
            path: PathBuf::new(),
            capture: Capture {
                model,
                ending: Ending::Exit,
                unread: None,
            },
            depth: 0,
        }
    }

    #[test]
    fn parents_come_before_their_children_and_runs_stay_apart() {
        let mut members = vec![
            member("t", 4, 2, 40),
            member("t", 3, 1, 30),
            member("u", 9, 2, 35),
            member("t", 2, 1, 20),
            member("t", 1, 0, 10),
            // It became another program, which has a child.
            member("t", 3, 1, 31),
            member("t", 5, 3, 50),
        ];
        put_in_order(&mut members);
        let order: Vec<_> = members
            .iter()
            .map(|member| (member.process().pid, member.depth))
            .collect();
        assert_eq!(
            order,
            [(1, 0), (2, 1), (4, 2), (3, 1), (3, 1), (5, 2), (9, 0)]
        );
    }
}
