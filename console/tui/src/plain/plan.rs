//! A plan for all users, as text.

use proto::plan::{Held, Load, Move, Plan, Standing};

use super::{Side, Table};
use crate::figures;

/// Below this gap a plan that is not proven optimal is still marked fine.
const FINE: f64 = 0.001;

/// The plan, its proof, and how each of its moves would be done.
pub fn plan(plan: &Plan) -> String {
    let mut text = vec![summary(plan), String::new()];
    text.extend(parts(plan).map(|(name, what)| format!("{name:<8} {what}")));
    text.push(String::new());
    if !plan.moves.is_empty() {
        text.push(moves(&plan.moves));
    }
    if plan.more > 0 {
        text.push(format!("and {} more\n", plan.more));
    }
    text.push(loads(&plan.sites).trim_end().to_owned());
    text.extend(plan.held.iter().map(left_out));
    if let Some(first) = plan.moves.first() {
        let (user, vm, to) = (&first.user, &first.vm, &first.to);
        text.push(format!(
            "\nNothing is moved by this. To do one: pacao ctl switch {user} {vm} {to}"
        ));
    }
    text.join("\n") + "\n"
}

/// How many would be moved, for what.
pub(crate) fn summary(plan: &Plan) -> String {
    let wanted = plan.moves.len() + plan.more as usize;
    let (entries, price) = (
        figures::entries(plan.entries as usize),
        figures::length(plan.price),
    );
    match wanted {
        0 => format!("nothing to move of {entries}, where each person moved costs {price}"),
        wanted => format!("{wanted} of {entries} to move, where each person moved costs {price}"),
    }
}

/// What it is now, what it would be, and what is proven.
pub(crate) fn parts(plan: &Plan) -> [(&'static str, String); 5] {
    let free = plan.free_moves as usize;
    let ties = match plan.badge.ties {
        0 => "nobody could enter elsewhere as well".to_owned(),
        ties => format!("{} could enter elsewhere at no loss to anybody", people(ties)),
    };
    [
        ("now", standing(&plan.now)),
        ("then", standing(&plan.then)),
        ("proven", badge(plan).1),
        (
            "free",
            format!(
                "if moves cost nothing: {}, {}",
                figures::count(free, "move"),
                standing(&plan.free)
            ),
        ),
        ("ties", ties),
    ]
}

/// The optimality badge: `o` proven best or as good as, `~` further from what is proven.
pub(crate) fn badge(plan: &Plan) -> (char, String) {
    let badge = &plan.badge;
    let least = user_ms(badge.least_excess_user_ms);
    let (mark, word) = if badge.optimal {
        ('o', "optimal".to_owned())
    } else {
        let mark = if badge.gap <= FINE { 'o' } else { '~' };
        (mark, format!("gap {:.2} %", badge.gap * 100.0))
    };
    let spent = figures::length(badge.spent);
    let text = format!("{mark} {word}: no plan is below {least}; found and proven in {spent}");
    (mark, text)
}

/// How many people it concerns, and what counts against them where they are.
pub(crate) fn left_out(held: &Held) -> String {
    let entries = figures::entries(held.entries as usize);
    format!(
        "left out: {entries}, {}, counted as load: {}",
        people(held.people),
        held.why
    )
}

fn standing(standing: &Standing) -> String {
    let late = match standing.late {
        0 => "nobody late".to_owned(),
        late => format!("{} late", people(late)),
    };
    let cut = match standing.cut_off {
        0 => String::new(),
        cut => format!(", {} cut off", people(cut)),
    };
    format!("{} over bounds, {late}{cut}", user_ms(standing.excess_user_ms))
}

/// What a move gains; `cut off` of those who have nothing now.
pub(crate) fn gain(wanted: &Move) -> String {
    wanted
        .gain_user_ms
        .map_or_else(|| "cut off".to_owned(), |gain| format!("{gain:+.1}"))
}

fn moves(moves: &[Move]) -> String {
    let mut table = Table::new(&[
        ("USER", Side::Left),
        ("VM", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("PEOPLE", Side::Right),
        ("GAIN user-ms", Side::Right),
    ]);
    for wanted in moves {
        table.row([
            wanted.user.to_string(),
            wanted.vm.to_string(),
            wanted.from.to_string(),
            wanted.to.to_string(),
            wanted.people.to_string(),
            gain(wanted),
        ]);
    }
    table.text("no moves")
}

fn loads(sites: &[Load]) -> String {
    let mut table = Table::new(&[
        ("DC", Side::Left),
        ("NOW", Side::Right),
        ("THEN", Side::Right),
        ("AT MOST", Side::Right),
    ]);
    for site in sites {
        let most = site.most.map_or_else(|| "-".to_owned(), |most| most.to_string());
        table.row([
            site.dc.to_string(),
            site.now.to_string(),
            site.then.to_string(),
            most,
        ]);
    }
    table.text("no data centres")
}

fn user_ms(figure: f64) -> String {
    format!("{figure:.1} user-ms")
}

fn people(number: u64) -> String {
    match number {
        1 => "1 person".to_owned(),
        number => format!("{number} people"),
    }
}
