//! The fabric of Table 4.1, and where its Map-Server stands.

use anyhow::Context;
use engine::session::{LinkShape, MAP_SERVER, Pair, Session};
use proto::{SiteName, Span};

use super::stage::DESTINATION;
use crate::cli::MapServerPlace;
use crate::session_file::TABLE_4_1;

/// Between LIP6 and a Map-Server beside it.
const BESIDE: Span = Span::millis(1);

/// The session, as written (Denmark), or with its Map-Server moved beside LIP6.
pub(super) fn session(place: MapServerPlace) -> anyhow::Result<Session> {
    let mut session = Session::parse(TABLE_4_1, "table-4-1")?;
    if place == MapServerPlace::Near {
        beside_destination(&mut session)?;
    }
    Ok(session)
}

/// Everybody is as far from the Map-Server as from LIP6.
fn beside_destination(session: &mut Session) -> anyhow::Result<()> {
    let names: Vec<SiteName> = session
        .config
        .sites
        .keys()
        .cloned()
        .chain(
            session
                .config
                .users
                .keys()
                .filter_map(|user| SiteName::new(user.as_str()).ok()),
        )
        .collect();
    let wan = &mut session.lab.as_mut().context("the session has no lab part")?.wan;
    for name in names {
        let shape = if name.as_str() == DESTINATION {
            LinkShape {
                rtt: BESIDE,
                ..wan.default
            }
        } else {
            wan.between(DESTINATION, name.as_str())
        };
        let pair = Pair::new(SiteName::new(MAP_SERVER)?, name).context("a site named like the Map-Server")?;
        wan.pairs.insert(pair, shape);
    }
    Ok(())
}
