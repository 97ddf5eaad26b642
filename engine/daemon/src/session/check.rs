//! From what is written to what is meant. Everything that can be wrong is looked at before anything is returned.

use pacao_core::Config;
use proto::SiteName;

use super::raw::RawSession;
use super::{Finding, Session};

mod addresses;
mod calm;
mod doubts;
mod lab;
mod legs;
mod limits;
mod members;
mod offers;
mod shapes;
mod sla;

use addresses::Addresses;
use doubts::{Doubts, at};
pub(super) use sla::WORDS;

/// The only version of the format there is.
const VERSION: u32 = 1;

pub(super) fn session(text: &str, file: &str) -> Result<Session, Vec<Finding>> {
    let raw: RawSession =
        serde_yaml::from_str(text).map_err(|error| shapes::all(text, &error, |error| shape(error, file)))?;
    let mut doubts = Doubts::new(text, file);
    let session = convert(&raw, &mut doubts);
    match session {
        Some(session) if doubts.is_empty() => Ok(session),
        _ => Err(doubts.finish()),
    }
}

/// The text is not YAML, or a field is missing, unknown or of the wrong kind.
fn shape(error: &serde_yaml::Error, file: &str) -> Finding {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let told = error.to_string();
    let told = told
        .rsplit_once(" at line ")
        .map_or(told.as_str(), |(message, _)| message);
    // The parser puts the path before its own messages; the rest is a message about the whole.
    let (field, message) = match told.split_once(": ") {
        Some((path, message)) if !path.contains(' ') => (path, message),
        _ => ("", told),
    };
    let message = message
        .replace("expected f64", "expected a number")
        .replace("expected u32", "expected a whole number");
    Finding {
        file: file.into(),
        line,
        column,
        field: field.into(),
        message,
    }
}

fn convert(raw: &RawSession, doubts: &mut Doubts<'_>) -> Option<Session> {
    if raw.version != VERSION {
        let message = format!(
            "version {} is unknown: this build reads version {VERSION}",
            raw.version
        );
        doubts.value(at!["version"], message);
    }
    doubts.good(at!["name"], SiteName::new(&raw.name));
    let slots = limits::slots(&raw.slots, at!["slots"], doubts);
    let policy = limits::policy(&raw.policy, doubts);
    let mut addresses = Addresses::default();
    let sla = sla::slas(raw, (slots, policy.as_ref()), doubts);
    let (sites, controls) = members::sites(raw, doubts, &mut addresses);
    let vms = members::vms(raw, doubts, &mut addresses);
    let users = members::users(raw, doubts, &mut addresses);
    sla::figures(raw, &sla, doubts);
    let lab = raw
        .lab
        .as_ref()
        .map(|lab| lab::lab(lab, raw, doubts, &mut addresses));
    if let (Some(slots), Some(policy)) = (&slots, &policy) {
        limits::calm(*slots, policy, doubts);
    }
    let calm = calm::calm(raw, doubts);
    let legs = raw
        .legs
        .as_ref()
        .map(|legs| legs::legs(legs, (slots, policy.as_ref()), &sla, doubts));
    let config = Config {
        session: raw.name.clone(),
        mode: raw.mode,
        slots: slots?,
        sites,
        users,
        vms,
        sla,
        policy: policy?,
        calm,
        legs,
    };
    if doubts.is_empty() {
        calm::together(&config, doubts);
    }
    let lab = match lab {
        None => None,
        Some(lab) => Some(lab?),
    };
    Some(Session {
        name: raw.name.clone(),
        config,
        controls,
        lab,
    })
}
