//! Which call sites a report is about, where it is not all of them.
//!
//! Invariant: a filter takes sites away and changes no number of those that it keeps.

use std::fmt;

use pytrace_format::fast_map::FastMap;
use pytrace_model::Model;
use pytrace_model::group::{add, site_identities};
use pytrace_model::ids::StackId;
use pytrace_model::label;
use pytrace_model::listed::leading_domains;
use pytrace_model::record::{Counters, Domain, Frame, Site};

use super::module_name;
use crate::amount;

/// What is asked of a site; all of it has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// What a filter left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remainder {
    /// Sites that are left, and sites that there were; in the domains that lists lead with.
    pub sites: (usize, usize),
    /// Their counters, added up.
    pub counters: (Counters, Counters),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// As it was typed.
    text: String,
    asks: Asks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asks {
    /// One of these patterns, of a name of the innermost Python line, or (`true`) of a frame anywhere on the stack.
    Name(Name, bool, Vec<String>),
    Domain(Vec<Domain>),
    /// Of the mean size of the site's allocations, bytes.
    Size(u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    File,
    Function,
    Module,
}

const KEYS: [&str; 8] = [
    "file",
    "function",
    "module",
    "any-file",
    "any-function",
    "any-module",
    "domain",
    "size",
];

impl Filter {
    /// Reads terms such as `file=*/pandas/*`, `domain=object,raw` and `size=512..4K`.
    ///
    /// # Errors
    /// The first term that is none, and what would be.
    pub fn parse(terms: &[String]) -> Result<Filter, String> {
        let terms = terms.iter().map(|text| {
            Ok(Term {
                text: text.clone(),
                asks: Asks::parse(text)?,
            })
        });
        Ok(Filter {
            terms: terms.collect::<Result<_, String>>()?,
        })
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms as they were typed.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.text.as_str())
    }

    /// Takes away the sites of which not every term holds.
    pub fn apply(&self, model: &mut Model) -> Remainder {
        let before = model.site_counters.clone();
        for term in &self.terms {
            let holds: Vec<bool> = match &term.asks {
                Asks::Name(name, true, patterns) => {
                    let stacks = on_stacks(model, *name, patterns);
                    let on_stack = |site: &Site| site.stack.index().is_some_and(|row| stacks[row]);
                    model.sites.iter().map(on_stack).collect()
                }
                Asks::Name(name, false, patterns) => {
                    let at_innermost =
                        |site: &Site| innermost_matches(model, site.stack, *name, patterns);
                    model.sites.iter().map(at_innermost).collect()
                }
                Asks::Domain(domains) => {
                    let sites = model.sites.iter();
                    sites.map(|site| domains.contains(&site.domain)).collect()
                }
                Asks::Size(from, to) => {
                    // Of what a report shows as one site, or a part of it would be left.
                    let identity_of = site_identities(model);
                    let mut sums: FastMap<u64, Counters> = FastMap::default();
                    for (site, counters) in model.sites_with_counters() {
                        add(sums.entry(identity_of(site)).or_default(), counters);
                    }
                    let is_within = |site: &Site| {
                        let mean = sums.get(&identity_of(site)).and_then(mean_size);
                        mean.is_some_and(|mean| (*from..=*to).contains(&mean))
                    };
                    model.sites.iter().map(is_within).collect()
                }
            };
            for (counters, holds) in model.site_counters.iter_mut().zip(holds) {
                if !holds {
                    *counters = Counters::default();
                }
            }
        }
        let has_left = model.sites_with_counters().next().is_some();
        let leads_among_left = leading_domains(model);
        // Of what is nothing at all the total is the measure.
        let leads = |domain| match has_left {
            true => leads_among_left(domain),
            false => domain != Domain::Mmap,
        };
        let mut left = Remainder::default();
        for ((site, after), before) in model.sites.iter().zip(&model.site_counters).zip(&before) {
            if leads(site.domain) {
                left.sites.0 += usize::from(*after != Counters::default());
                left.sites.1 += usize::from(*before != Counters::default());
                add(&mut left.counters.0, after);
                add(&mut left.counters.1, before);
            }
        }
        left
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.terms().collect::<Vec<_>>().join(" and "))
    }
}

impl Asks {
    fn parse(term: &str) -> Result<Asks, String> {
        let Some((key, value)) = term.split_once('=') else {
            return Err(format!("write KEY=VALUE; keys are {}", KEYS.join(", ")));
        };
        let patterns = || match value.split(',').map(str::to_owned).collect::<Vec<_>>() {
            patterns if patterns.iter().any(String::is_empty) => Err(format!(
                "{key}= wants a name, in which * and ? stand for others"
            )),
            patterns => Ok(patterns),
        };
        let name = |name| {
            let is_anywhere = key.starts_with("any-");
            Ok(Asks::Name(name, is_anywhere, patterns()?))
        };
        match key {
            "file" | "any-file" => name(Name::File),
            "function" | "any-function" => name(Name::Function),
            "module" | "any-module" => name(Name::Module),
            "domain" => {
                let all = Domain::ALL.map(Domain::name);
                let domain = |text: &str| {
                    let known = Domain::ALL.into_iter().find(|domain| domain.name() == text);
                    known.ok_or_else(|| {
                        format!(
                            "no such domain: {text}{}; domains are {}",
                            similar(text, &all),
                            all.join(", ")
                        )
                    })
                };
                let domains = value.split(',').map(domain);
                Ok(Asks::Domain(domains.collect::<Result<_, _>>()?))
            }
            "size" => size_range(value),
            _ => Err(format!(
                "no such key: {key}{}; keys are {}",
                similar(key, &KEYS),
                KEYS.join(", ")
            )),
        }
    }
}

/// `512`, `512..4K`, `..4K`, `4K..`; both ends belong to it.
fn size_range(value: &str) -> Result<Asks, String> {
    let bytes = |text: &str, open: u64| match text {
        "" => Ok(open),
        text => amount::bytes(text)
            .map_err(|wanted| format!("size={value}: {wanted}, or a range such as 512..4K")),
    };
    let (from, to) = match value.split_once("..") {
        Some((from, to)) => (bytes(from, 0)?, bytes(to, u64::MAX)?),
        // Nothing at all is refused by what reads sizes.
        None => {
            let only = amount::bytes(value)
                .map_err(|wanted| format!("size={value}: {wanted}, or a range such as 512..4K"))?;
            (only, only)
        }
    };
    if from > to {
        return Err(format!(
            "size={value} begins after its end; write the smaller size first"
        ));
    }
    Ok(Asks::Size(from, to))
}

/// `, did you mean X?`, where one of the words begins or ends alike or differs in few letters.
fn similar(typed: &str, words: &[&str]) -> String {
    let nearest = words.iter().min_by_key(|word| distance(typed, word));
    match nearest {
        Some(word) if distance(typed, word) <= 2 => format!(" (did you mean {word}?)"),
        _ => String::new(),
    }
}

/// How many letters have to be put in, taken out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (above, of_a) in a.chars().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], above + 1);
        for (at, of_b) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(of_a != of_b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(row[at + 1] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

fn mean_size(counters: &Counters) -> Option<u64> {
    let calls = counters.allocations.saturating_add(counters.reallocations);
    counters.requested_bytes.checked_div(calls)
}

/// For each stack, whether a frame of it has such a name.
fn on_stacks(model: &Model, name: Name, patterns: &[String]) -> Vec<bool> {
    let ids = (1u32..).map(pytrace_model::ids::FrameId);
    let frames = ids.zip(&model.frames);
    let frames: Vec<_> = frames
        .map(|(id, frame)| {
            names(model, id, frame, name)
                .iter()
                .any(|text| matches(name, frame, patterns, text))
        })
        .collect();
    // A parent comes before its children.
    let mut stacks: Vec<bool> = Vec::with_capacity(model.stacks.len());
    for stack in &model.stacks {
        let by_caller = stack.parent.index().and_then(|row| stacks.get(row));
        let by_frame = stack.frame.index().and_then(|row| frames.get(row));
        stacks.push(by_caller == Some(&true) || by_frame == Some(&true));
    }
    stacks
}

/// Whether the innermost Python frame has such a name; for modules, where there is no Python, the library that asked.
fn innermost_matches(model: &Model, stack: StackId, name: Name, patterns: &[String]) -> bool {
    let is_python = |frame: &Frame| matches!(frame, Frame::Python { .. });
    let python = model
        .stack_frames(stack)
        .find(|(_, frame)| is_python(frame));
    let innermost = || {
        model
            .stack_frames(stack)
            .next()
            .filter(|_| name == Name::Module)
    };
    python.or_else(innermost).is_some_and(|(id, frame)| {
        let names = names(model, id, frame, name);
        names
            .iter()
            .any(|text| matches(name, frame, patterns, text))
    })
}

/// What a frame is called.
fn names(model: &Model, id: pytrace_model::ids::FrameId, frame: &Frame, name: Name) -> Vec<String> {
    match (frame, name) {
        (Frame::Python { function, .. }, Name::Function) => {
            vec![model.string(*function).to_owned()]
        }
        (Frame::Python { file, .. }, Name::File) => vec![model.string(*file).to_owned()],
        (Frame::Python { file, .. }, Name::Module) => vec![module_name(model.string(*file))],
        (Frame::Native { module, .. }, Name::Module) => {
            let path = model.module_path(*module);
            vec![path.to_owned(), label::module_name(path)]
        }
        (Frame::Native { .. }, Name::File) => {
            let codes = model.native_code(id);
            codes.map(|code| code.file.to_owned()).collect()
        }
        (Frame::Native { .. }, Name::Function) => {
            let codes = model.native_code(id);
            codes
                .flat_map(|code| [code.function, label::without_parameters(code.function)])
                .map(str::to_owned)
                .collect()
        }
    }
}

/// Whether a name, or a part of it that stands for itself, is like one of the patterns: of a path its end, of a qualified
/// name its end, of a module the packages that it is in.
fn matches(name: Name, frame: &Frame, patterns: &[String], text: &str) -> bool {
    let is_native = matches!(frame, Frame::Native { .. });
    let is_like = |text: &str| patterns.iter().any(|pattern| is_match(pattern, text));
    let ends = |separator: char| {
        let ends = text.match_indices(separator);
        ends.map(move |(at, _)| &text[at + separator.len_utf8()..])
    };
    let is_alike = match (name, is_native) {
        (Name::File, _) | (Name::Module, true) => ends('/').any(is_like),
        (Name::Function, false) => ends('.').any(is_like),
        (Name::Function, true) => false,
        (Name::Module, false) => text.match_indices('.').any(|(at, _)| is_like(&text[..at])),
    };
    !text.is_empty() && (is_alike || is_like(text))
}

/// Whether a pattern is a text: `*` stands for any characters, `?` for one.
fn is_match(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    // After the last star, and what it stands for so far: that grows when the rest does not fit.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((after, end)) => {
                    star = Some((after, end + 1));
                    (at, read) = (after, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&left| left == '*')
}

#[cfg(test)]
mod tests;
