//! Questions about what the engine earned to do by itself.

use proto::autonomy::Standing;
use proto::{ActionClass, Command, Mode};

use super::{Choice, Clocks, Deed, Dialog};
use crate::app::world::World;

impl Dialog {
    /// Hold a class of actions where it is, let it go by its record, or forget a fall.
    pub(crate) fn class(class: &ActionClass, world: &World, clocks: Clocks) -> Self {
        let mut dialog = Self::new(format!("Autonomy of {class}"), clocks.ours);
        let standing = world
            .policy
            .autonomy
            .iter()
            .find(|row| row.class == *class)
            .map_or(&Standing::AsMode, |row| &row.standing);
        let now = match standing {
            Standing::AsMode => "as the mode says".to_owned(),
            Standing::Risen { .. } => "it has risen to auto".to_owned(),
            Standing::Fallen { .. } => "it has fallen to recommend".to_owned(),
            Standing::Pinned { mode, .. } => format!("pinned at {mode}"),
        };
        dialog.facts = vec![
            ("now", now),
            (
                "",
                "no standing lets through what modes, windows or budgets forbid".to_owned(),
            ),
        ];
        for (mode, text) in [
            (Mode::Recommend, "staff decide, whatever its record"),
            (Mode::Auto, "it acts by itself, whatever its record"),
        ] {
            let here = matches!(standing, Standing::Pinned { mode: at, .. } if *at == mode);
            dialog.choices.push(Choice {
                label: format!("Pin at {mode}: {text}"),
                deed: pin(class, Some(mode)),
                hindrance: here.then(|| format!("it is pinned at {mode} already")),
            });
        }
        let pinned = matches!(standing, Standing::Pinned { .. });
        dialog.choices.push(Choice {
            label: "Unpin: it goes by the mode and its record".to_owned(),
            deed: pin(class, None),
            hindrance: (!pinned).then(|| "it is not pinned".to_owned()),
        });
        let fallen = matches!(standing, Standing::Fallen { .. });
        dialog.choices.push(Choice {
            label: "Pardon: its fall and its record are forgotten".to_owned(),
            deed: Deed::Ask(
                Command::ForgiveClass { class: class.clone() },
                format!("pardoning {class}"),
            ),
            hindrance: (!fallen).then(|| "it has not fallen".to_owned()),
        });
        dialog
    }
}

fn pin(class: &ActionClass, mode: Option<Mode>) -> Deed {
    let text = match mode {
        Some(mode) => format!("pinning {class} at {mode}"),
        None => format!("unpinning {class}"),
    };
    Deed::Ask(
        Command::PinClass {
            class: class.clone(),
            mode,
        },
        text,
    )
}
