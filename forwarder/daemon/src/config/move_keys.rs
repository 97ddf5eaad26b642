//! The keys that move EIDs are for that alone: all others of a site are held by somebody outside the group.

use super::error::Problem;
use super::keys::Keys;
use super::raw::{Names, RawConfig, RawNatRtr};

/// Refuses a key of `change_priority.move_keys` that is used elsewhere too, or shares its secret with another.
pub(super) fn apart(raw: &RawConfig, keys: &Keys) -> Result<(), Problem> {
    let elsewhere = uses(raw);
    for (at, name) in raw.change_priority.move_keys.iter().enumerate() {
        let refuse = |what| Err(Problem::new(format!("change_priority.move_keys[{at}]"), what));
        let advice =
            "what moves EIDs is to be known to the sites of the group alone: give them a key of their own";
        if let Some((field, _)) = elsewhere.iter().find(|(_, other)| other == name) {
            return refuse(format!("'{name}' stands at {field} too; {advice}"));
        }
        if let Some(twin) = keys.twin_of(name) {
            return refuse(format!("'{name}' has the same secret as '{twin}'; {advice}"));
        }
    }
    Ok(())
}

/// Every other place where a key is named, with its name.
fn uses(raw: &RawConfig) -> Vec<(String, &str)> {
    let told = (
        String::from("change_priority.keys"),
        raw.change_priority.keys.as_slice(),
    );
    let published = raw
        .pubsub
        .key
        .iter()
        .map(|names| ("pubsub.key".to_owned(), names.as_slice()));
    let servers = numbered("map_servers", "key", &raw.map_servers, |server| Some(&server.key));
    let resolvers = numbered("map_resolvers", "key", &raw.map_resolvers, |resolver| {
        resolver.key.as_ref()
    });
    let subscribers = numbered("sites", "pubsub.key", &raw.sites, |site| {
        Some(&site.pubsub.as_ref()?.key)
    });
    let routers = numbered("nat_rtrs", "key", &raw.nat_rtrs, |rtr| match rtr {
        RawNatRtr::Keyed(keyed) => Some(&keyed.key),
        RawNatRtr::Address(_) => None,
    });
    let helped = raw
        .rtr
        .iter()
        .flat_map(|rtr| numbered("rtr.nat", "key", &rtr.nat, |server| Some(&server.key)));
    let sites = raw.sites.iter().enumerate();
    let registrants = sites.map(|(at, site)| (format!("sites[{at}].keys"), site.keys.as_slice()));
    [told]
        .into_iter()
        .chain(published)
        .chain(servers)
        .chain(resolvers)
        .chain(subscribers)
        .chain(routers)
        .chain(helped)
        .chain(registrants)
        .flat_map(|(field, names)| names.iter().map(move |name| (field.clone(), name.as_str())))
        .collect()
}

/// The keys named by the items of a list, each with its field.
fn numbered<'r, T>(
    list: &'static str,
    field: &'static str,
    items: &'r [T],
    names: impl Fn(&'r T) -> Option<&'r Names>,
) -> impl Iterator<Item = (String, &'r [String])> {
    let numbered = items.iter().enumerate();
    numbered.filter_map(move |(at, item)| Some((format!("{list}[{at}].{field}"), names(item)?.as_slice())))
}
