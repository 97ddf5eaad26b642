//! Every knob in force: its value, and whether the file says so and where, or what it has without being written.

mod followed;

use std::fmt::Write as _;
use std::path::Path;

use pacao_core::Config;
use pacao_core::config::{Sla, Statistic, shipped};
use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::locate::{At, Step, dotted, locate};
use super::raw::{RawLegs, RawSession, RawSla};
use super::{Session, SessionError};

/// One setting of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Knob {
    /// Its path, such as `policy.damp.reuse`.
    pub field: String,
    /// What is in force, as sessions write it.
    pub value: Value,
    /// Where that comes from.
    pub source: Source,
}

/// Why a knob has its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Source {
    /// The file says so.
    File {
        /// From 1.
        line: usize,
    },
    /// Nobody says otherwise.
    Default,
    /// It goes by another knob.
    As {
        /// Which, or which of several.
        field: String,
    },
    /// The class is shipped, and the session does not write it anew.
    Shipped,
}

impl Knob {
    /// The value in one line.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        flow(&self.value, &mut text);
        text
    }
}

/// In the flow style of YAML, but that nothing is called so.
fn flow(value: &Value, text: &mut String) {
    let mut list = |(open, close): (&str, &str), parts: Vec<String>| {
        let joined = parts.join(", ");
        let _ = match parts.len() {
            0 => write!(text, "none"),
            _ => write!(text, "{open}{joined}{close}"),
        };
    };
    let part = |value: &Value| {
        let mut text = String::new();
        flow(value, &mut text);
        text
    };
    match value {
        Value::Sequence(items) => list(("[", "]"), items.iter().map(part).collect()),
        Value::Mapping(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", part(name), part(value)));
            list(("{ ", " }"), fields.collect());
        }
        Value::String(word) => text.push_str(word),
        Value::Number(number) => {
            // 5 and not 5.0: as it is written.
            let _ = match number.as_f64() {
                Some(float) => write!(text, "{float}"),
                None => write!(text, "{number}"),
            };
        }
        Value::Bool(truth) => {
            let _ = write!(text, "{truth}");
        }
        Value::Null | Value::Tagged(_) => text.push('-'),
    }
}

/// Who and where a site, VM or user is: facts and no knobs.
const FACTS: [&str; 6] = ["label", "rloc", "eid", "control", "home", "vms"];

/// So many data centres, VMs or users are explained; each of their lines takes a walk over the text.
const MOST: usize = 100;

/// Every knob of the session at `path`, in the order of the format.
///
/// # Errors
/// [`SessionError`], as [`Session::read`].
pub fn explain(path: &Path) -> Result<Vec<Knob>, SessionError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| SessionError::Unreadable {
        file: path.to_owned(),
        source,
    })?;
    let session = Session::parse(&text, &file)?;
    Ok(knobs(&text, &session.config).unwrap_or_default())
}

/// `None` cannot be: the text was read as a session before.
fn knobs(text: &str, config: &Config) -> Option<Vec<Knob>> {
    let given: Value = serde_yaml::from_str(text).ok()?;
    let mut raw: RawSession = serde_yaml::from_str(text).ok()?;
    raw.legs = raw.legs.or_else(|| serde_yaml::from_str::<RawLegs>("{}").ok());
    let mut whole = serde_yaml::to_value(&raw).ok()?;
    let shipped = with_shipped(&mut whole, config)?;
    with_slots(&mut whole)?;
    let explained = Explained {
        text,
        given: &given,
        followed: followed::all(config)?,
        shipped,
    };
    let mut found = Vec::new();
    explained.walk(&whole, &mut Vec::new(), &mut found);
    Some(found)
}

struct Explained<'a> {
    text: &'a str,
    given: &'a Value,
    /// What has its value from elsewhere when it is not written.
    followed: followed::Followed,
    /// Names of the shipped classes in use.
    shipped: Vec<String>,
}

impl Explained<'_> {
    fn walk(&self, value: &Value, path: &mut Vec<Step>, found: &mut Vec<Knob>) {
        if let Value::Mapping(fields) = value
            && !fields.is_empty()
            && !is_one(path)
        {
            let most = if is_many(path) { MOST } else { usize::MAX };
            for (name, value) in fields.iter().take(most) {
                let Some(name) = name.as_str() else { continue };
                if !is_fact(path, name) {
                    path.push(Step::Key(name.to_owned()));
                    self.walk(value, path, found);
                    path.pop();
                }
            }
            let left_out = fields.len().saturating_sub(most);
            if left_out > 0 {
                found.push(Knob {
                    field: dotted(path),
                    value: format!("{left_out} more, not shown").into(),
                    source: self
                        .line(path)
                        .map_or(Source::Default, |line| Source::File { line }),
                });
            }
            return;
        }
        let field = dotted(path);
        let unwritten = || {
            let otherwise = self.followed.get(&field).cloned();
            let (value, source) = otherwise.unwrap_or_else(|| (value.clone(), Source::Default));
            let is_nothing = value.is_null();
            (!is_nothing).then_some((value, source))
        };
        let known = match self.line(path) {
            Some(line) => Some((value.clone(), Source::File { line })),
            None if self.is_shipped(path) && !value.is_null() && !self.followed.contains_key(&field) => {
                Some((value.clone(), Source::Shipped))
            }
            None => unwritten(),
        };
        found.extend(known.map(|(value, source)| Knob {
            field,
            value: plain(value),
            source,
        }));
    }

    /// Where it is written, if it is.
    fn line(&self, path: &[Step]) -> Option<usize> {
        let mut at = self.given;
        for step in path {
            let Step::Key(name) = step else { return None };
            // A name of digits alone is read as a number.
            let number = || at.get(Value::from(name.parse::<u64>().ok()?));
            at = at.get(name.as_str()).or_else(number)?;
        }
        (!at.is_null()).then(|| locate(self.text, path, At::Key).0)
    }

    fn is_shipped(&self, path: &[Step]) -> bool {
        matches!(path, [Step::Key(part), Step::Key(name), ..] if part == "sla" && self.shipped.contains(name))
    }
}

/// Whether a mapping there is one value: a selector, which says who is meant by all of it.
fn is_one(path: &[Step]) -> bool {
    match path {
        [Step::Key(part), _, _, Step::Key(field)] => {
            part == "policy" && ["who", "affinity", "anti_affinity"].contains(&field.as_str())
        }
        _ => false,
    }
}

/// Whether the mapping there is one of data centres, VMs or users.
fn is_many(path: &[Step]) -> bool {
    matches!(path, [Step::Key(part)] if ["sites", "vms", "users"].contains(&part.as_str()))
}

fn is_fact(path: &[Step], name: &str) -> bool {
    match path {
        [] => name == "version",
        [Step::Key(part)] => part == "lab" && name == "map_server",
        [Step::Key(part), _] => ["sites", "vms", "users"].contains(&part.as_str()) && FACTS.contains(&name),
        _ => false,
    }
}

/// Without what is not given.
fn plain(value: Value) -> Value {
    match value {
        Value::Mapping(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Mapping(given.map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(plain).collect()),
        other => other,
    }
}

/// Adds the classes that users name without the session writing them, and says which.
fn with_shipped(whole: &mut Value, config: &Config) -> Option<Vec<String>> {
    let classes = whole.get_mut("sla")?.as_mapping_mut()?;
    let mut names = Vec::new();
    for name in config.sla.keys().map(ToString::to_string) {
        if let Some(class) = shipped(&name).filter(|_| !classes.contains_key(name.as_str())) {
            classes.insert(name.as_str().into(), written(&class)?);
            names.push(name);
        }
    }
    Some(names)
}

/// A class without slots of its own has them all the same: one by one, not yet known here.
fn with_slots(whole: &mut Value) -> Option<()> {
    let unknown: Mapping = ["decide", "settle", "probe"]
        .map(|field| (field.into(), Value::Null))
        .into_iter()
        .collect();
    for class in whole.get_mut("sla")?.as_mapping_mut()?.values_mut() {
        let slots = class.get_mut("slots")?;
        if slots.is_null() {
            *slots = Value::Mapping(unknown.clone());
        }
    }
    Some(())
}

/// A shipped class as a session would write it.
fn written(class: &Sla) -> Option<Value> {
    let statistic = match class.statistic {
        Statistic::Mean => "mean".to_owned(),
        Statistic::Worst => "worst".to_owned(),
        Statistic::Quantile(q) => format!("p{}", q * 100.0),
        Statistic::Trimmed(share) => format!("trimmed{}", share * 100.0),
    };
    let text = format!(
        "bounds: {{ rtt_ms: {}, jitter_ms: {}, loss_pct: {} }}\n\
         weights: {{ rtt: {}, jitter: {}, loss: {} }}\n\
         statistic: {statistic}\n\
         dscp: {}\n",
        class.rtt_ms,
        class.jitter_ms,
        class.loss_pct,
        class.weights.rtt,
        class.weights.jitter,
        class.weights.loss,
        class.dscp,
    );
    let raw: RawSla = serde_yaml::from_str(&text).ok()?;
    serde_yaml::to_value(&raw).ok()
}
