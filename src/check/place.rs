//! Where most of something was asked for: what a failed check points at.

use std::collections::HashMap;

use pytrace_model::Model;
use pytrace_model::listed::{Line, leading_domains, own_lines};
use pytrace_model::origin::Origins;
use pytrace_model::record::Frame;

use crate::analysis::{Grouping, Metric, RowKey, Subject, rows};

/// A line of Python code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// The file as the program knows it; empty where no Python code was running.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The library, where no Python code was running.
    pub module: String,
    /// How much of what was measured is this line's; compared with a baseline, how much more than there.
    pub part: u64,
    /// Whether `part` is what came on top of a baseline.
    pub is_growth: bool,
}

impl Place {
    /// Which line of code it is.
    fn spot(&self) -> (&str, &str, u32) {
        (&self.file, &self.function, self.line)
    }

    /// The line of the program that has most, with all that it calls; compared with an earlier capture, the one of the
    /// function that has grown most. Where no line of the program is known, the innermost one that is.
    pub(super) fn of_most(model: &Model, before: Option<&Model>, metric: Metric) -> Option<Place> {
        let lines = lines(model, metric);
        if let Some(before) = before {
            return of_growth(&self::lines(before, metric), &lines);
        }
        let most = lines.into_iter().max_by_key(|place| place.part);
        most.filter(|place| place.part > 0)
            .or_else(|| innermost(model, metric))
    }
}

/// The function that grew most, at the line of it that did; where code has moved, all lines are new, and the heaviest is taken.
/// Functions keep their names.
fn of_growth(before: &[Place], after: &[Place]) -> Option<Place> {
    let of_functions = |places: &[Place]| {
        let mut sums: HashMap<(String, String), u64> = HashMap::new();
        for place in places {
            let key = (place.file.clone(), place.function.clone());
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(place.part);
        }
        sums
    };
    let was: HashMap<_, _> = before
        .iter()
        .map(|place| (place.spot(), place.part))
        .collect();
    let before = of_functions(before);
    let growth = of_functions(after).into_iter().map(|(function, part)| {
        let grown = part.saturating_sub(before.get(&function).copied().unwrap_or(0));
        (grown, function)
    });
    // Names decide among equals, so that the answer is always the same one.
    let (grown, (file, function)) = growth.max()?;
    let of_function = after
        .iter()
        .filter(|place| place.file == file && place.function == function);
    let grown_by = |place: &Place| {
        let was = was.get(&place.spot()).copied().unwrap_or(0);
        (place.part.saturating_sub(was), place.part)
    };
    let line = of_function.max_by_key(|place| grown_by(place))?.clone();
    (grown > 0).then_some(Place {
        part: grown,
        is_growth: true,
        ..line
    })
}

/// The lines of the program with all that they call.
fn lines(model: &Model, metric: Metric) -> Vec<Place> {
    let origins = Origins::of(model);
    let lines = own_lines(model, &origins, leading_domains(model));
    let place = |line: &Line| match *model.frame(line.frame)? {
        Frame::Python {
            function,
            file,
            line: number,
        } => Some(Place {
            function: model.string(function).to_string(),
            file: model.string(file).to_string(),
            line: number,
            module: String::new(),
            part: metric.of(&line.counters),
            is_growth: false,
        }),
        Frame::Native { .. } => None,
    };
    lines.iter().filter_map(place).collect()
}

/// The innermost line, or the library, that has most.
fn innermost(model: &Model, metric: Metric) -> Option<Place> {
    let rows = rows(model, Grouping::Line, metric, leading_domains(model));
    let row = rows.into_iter().next()?;
    let Subject::Group(RowKey {
        function,
        file,
        line,
        module,
    }) = row.subject
    else {
        return None;
    };
    let part = metric.of(&row.counters);
    (part > 0).then_some(Place {
        function,
        file,
        line,
        module,
        part,
        is_growth: false,
    })
}
