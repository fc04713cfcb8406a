//! A list of rows under its heading.

use std::cmp::Reverse;
use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::group::stack_identities;
use pytrace_model::ids::StackId;
use pytrace_model::label;
use pytrace_model::listed::{self, Common};
use pytrace_model::origin::Origins;
use pytrace_model::record::{Counters, Domain, Frame};
use pytrace_model::text::count;

use super::super::Report;
use super::row::{self, Tones};
use crate::analysis::{self, Grouping, Metric, RowKey, Subject};

/// The rows of one list.
pub(super) struct List<'a> {
    model: &'a Model,
    metric: Metric,
    heading: String,
    rows: Vec<Row>,
    /// How many of them are written.
    written: usize,
}

struct Row {
    about: About,
    counters: Counters,
    /// Call sites of the capture.
    sites: usize,
}

enum About {
    /// Call sites of a domain (`None`: of several), and what they have in common.
    Sites(Option<Domain>, Common, StackId),
    /// What a grouping put together.
    Group(RowKey),
}

impl<'a> List<'a> {
    /// The rows of the sites in `domains`, of which at most `top` are written. Call sites are listed as in the summary:
    /// what imports and the interpreter's start do is summed up.
    pub(super) fn leading(
        report: &Report<'a>,
        origins: &Origins,
        domains: impl Fn(Domain) -> bool,
        top: usize,
    ) -> List<'a> {
        let model = &report.capture.model;
        if report.grouping != Grouping::Site {
            return List::new(report, "", plain_rows(report, domains), top);
        }
        let stacks = stack_identities(model, origins.frame_identities());
        let identity = |stack: StackId| stacks.get(stack.index()?).copied();
        let listed = listed::rows(model, origins, domains, identity);
        let mut rows: Vec<_> = listed
            .into_iter()
            .map(|row| Row {
                about: About::Sites(row.domain, row.common, row.stack),
                counters: row.counters,
                sites: row.sites,
            })
            .collect();
        rows.sort_by_key(|row| Reverse(report.metric.of(&row.counters)));
        List::new(report, "", rows, top)
    }

    /// What stands beside the total, one by one.
    pub(super) fn beside(
        report: &Report<'a>,
        domains: impl Fn(Domain) -> bool,
        top: usize,
    ) -> List<'a> {
        let rows = plain_rows(report, domains);
        List::new(report, "mappings, beside the total: ", rows, top)
    }

    fn new(report: &Report<'a>, title: &str, rows: Vec<Row>, top: usize) -> List<'a> {
        let what = match report.grouping {
            Grouping::Site => "call sites",
            Grouping::Line => "lines",
            Grouping::Function => "functions",
            Grouping::File => "files",
            Grouping::Module => "modules",
        };
        let written = top.min(rows.len());
        let meaning = report.metric.meaning();
        List {
            model: &report.capture.model,
            metric: report.metric,
            heading: format!("{title}{what} by {meaning}{}", extent(&rows, written)),
            rows,
            written,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(&self, width: usize, colour: bool, out: &mut impl Write) -> io::Result<()> {
        let tones = Tones { colour };
        writeln!(out, "\n{}", tones.strong(&self.heading))?;
        let all = self.rows.iter().fold(0u64, |sum, row| {
            sum.saturating_add(self.metric.of(&row.counters))
        });
        for (row, number) in self.rows[..self.written].iter().zip(1..) {
            let first = match &row.about {
                About::Sites(Some(domain), ..) => domain.name().to_string(),
                About::Sites(None, ..) => "several domains".to_string(),
                About::Group(_) => row::number_of(row.sites as u64, "call site"),
            };
            let head = row::head(number, &row.counters, self.metric, all);
            let numbers = row::numbers(&row.counters, self.metric);
            let said: Vec<_> = std::iter::once(first).chain(numbers).collect();
            row::write_numbers(&head, &said, width, tones, out)?;
            match &row.about {
                About::Sites(_, common, stack) => match *common {
                    Common::Stack => row::write_stack(self.model, *stack, tones, out)?,
                    Common::Import(importer) => {
                        row::write_imports(self.model, importer, row.sites, tones, out)?;
                    }
                    Common::NoPython => row::write_no_python(row.sites, tones, out)?,
                },
                About::Group(key) => row::write_key(key, out)?,
            }
        }
        Ok(())
    }

    /// Says once why functions of the interpreter are shown as addresses.
    pub(super) fn about_addresses(&self, width: usize, out: &mut impl Write) -> io::Result<()> {
        let nameless = |row: &Row| match row.about {
            About::Sites(_, Common::Stack, stack) => nameless_interpreter(self.model, stack),
            _ => None,
        };
        match self.rows[..self.written].iter().find_map(nameless) {
            Some(file) => {
                writeln!(out)?;
                row::write_words(&label::about_addresses(&file), width, out)
            }
            None => Ok(()),
        }
    }
}

/// The rows as the grouping has them.
fn plain_rows(report: &Report<'_>, domains: impl Fn(Domain) -> bool) -> Vec<Row> {
    let model = &report.capture.model;
    let rows = analysis::rows(model, report.grouping, report.metric, domains).into_iter();
    rows.map(|row| Row {
        about: match row.subject {
            Subject::Site(domain) => About::Sites(Some(domain), Common::Stack, row.stack),
            Subject::Group(key) => About::Group(key),
        },
        counters: row.counters,
        sites: row.sites,
    })
    .collect()
}

/// ` (25 of 1,234 rows for 5,678 call sites; more with --top)`
fn extent(rows: &[Row], written: usize) -> String {
    let sites: usize = rows.iter().map(|row| row.sites).sum();
    let sites = row::number_of(sites as u64, "call site");
    let all = row::number_of(rows.len() as u64, "row");
    if written < rows.len() {
        let written = count(written as u64);
        format!(" ({written} of {all} for {sites}; more with --top)")
    } else {
        format!(" ({all} for {sites})")
    }
}

/// The interpreter's file, if a frame of the stack is a function of it that has no name.
fn nameless_interpreter(model: &Model, stack: StackId) -> Option<String> {
    model
        .stack_frames(stack)
        .find_map(|(id, frame)| match *frame {
            Frame::Native { module, .. }
                if model.is_interpreter(module) && !model.native_names.contains_key(&id) =>
            {
                Some(label::module_name(model.module_path(module)))
            }
            _ => None,
        })
}
