//! The summary as people see it.
//!
//! - `snapshots`: whole summaries, held against the files in `expected/`
//! - `hostile`: names, numbers and widths that must not break a line or steer a terminal
//! - `unknown`: what is not known is not drawn as if it were

mod hostile;
mod snapshots;
mod unknown;

use pytrace_format::record::Record;
use pytrace_format::synth::Synth;
use pytrace_model::Model;
use pytrace_model::summary::{Style, render};

fn model_of(records: &[Record]) -> Model {
    let mut model = Model::default();
    for record in records {
        model.apply(record.clone()).unwrap();
    }
    model
}

fn model(synth: &Synth) -> Model {
    model_of(synth.records())
}

fn summary(model: &Model, style: &Style) -> String {
    let mut text = String::new();
    render(model, style, &mut text).unwrap();
    text
}
