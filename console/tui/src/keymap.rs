//! The only source of keys: what a key means, what the footer shows, what help says, and why a key does nothing now.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::App;
use crate::layout::PaneKind;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Approve,
    Reject,
    /// Why the row is not moved.
    Why,
    Switch,
    /// Disarm, or arm again.
    Arming,
    Mode,
    /// The mode of the row's user, VM or data centre.
    ModePart,
    Drain,
    Forgive,
    /// Approve or switch in spite of rules, windows and budgets.
    Glass,
    /// What policy allows now.
    Policy,
    /// What would be best for all users at once.
    Plan,
    /// What the engine has earned to do by itself.
    Autonomy,
    /// A line of the log, whole.
    Open,
    /// A forwarder from inside.
    Node,
    NextNode,
    PreviousNode,
    /// Type a command.
    Palette,
    /// In the palette: the next word that fits.
    Complete,
    /// In the palette: the line typed before.
    Older,
    /// In the palette: the line typed after.
    Newer,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    FocusNext,
    FocusPrevious,
    Filter,
    ClearFilter,
    Sort,
    Reverse,
    Freeze,
    Layout,
    Help,
    Quit,
    Leave,
    Redraw,
    /// In a dialog: the next button.
    NextChoice,
    /// In a dialog: the button before.
    PreviousChoice,
    /// In a dialog: the button with the focus.
    Press,
    /// In a dialog with one thing to confirm: that.
    Confirm,
    /// In a dialog, help or text field: away with it.
    Cancel,
    /// In a text field: done.
    Keep,
    /// In a text field: the letter before the caret.
    Erase,
    /// In a text field: the letter under the caret.
    EraseNext,
    /// In a text field: the word before the caret.
    EraseWord,
    /// In a text field: all before the caret.
    EraseBefore,
    /// In a text field: all from the caret on.
    EraseBehind,
    CaretLeft,
    CaretRight,
    CaretStart,
    CaretEnd,
}

/// Where keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// Anywhere at all.
    Always,
    /// On the panes.
    Screen,
    /// In a dialog.
    Dialog,
    /// On a card over the panes.
    Card,
    /// On the help page.
    Help,
    /// In a text field.
    Field,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) context: Context,
    keys: &'static [(KeyModifiers, KeyCode)],
    pub(crate) intent: Intent,
    /// A word for the footer; empty if it does not belong there.
    pub(crate) hint: &'static str,
    /// A line for help.
    help: &'static str,
}

const PLAIN: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn letter(letter: char) -> (KeyModifiers, KeyCode) {
    (PLAIN, KeyCode::Char(letter))
}

const fn control(letter: char) -> (KeyModifiers, KeyCode) {
    (CONTROL, KeyCode::Char(letter))
}

const fn key(code: KeyCode) -> (KeyModifiers, KeyCode) {
    (PLAIN, code)
}

macro_rules! bindings {
    ($($context:ident [$($key:expr),+] $intent:ident $hint:literal $help:literal;)+) => {
        &[$(Binding {
            context: Context::$context,
            keys: &[$($key),+],
            intent: Intent::$intent,
            hint: $hint,
            help: $help,
        },)+]
    };
}

/// All keys, in the order in which footer and help show them.
pub(crate) const BINDINGS: &[Binding] = bindings! {
    Screen [letter('a')] Approve "approve" "approve the selected proposal; a dialog asks first";
    Screen [letter('r')] Reject "reject" "reject the selected proposal; a dialog asks first";
    Screen [letter('w')] Why "why" "why the selected row is not moved: conditions, margin, ladder";
    Screen [letter('e')] Switch "switch" "make the selected user enter by a data centre of your choice";
    Screen [letter('d')] Arming "disarm" "disarm: nothing moves until it is armed; once more: arm";
    Screen [letter('m')] Mode "mode" "choose the mode: observe, recommend or auto";
    Screen [letter('M')] ModePart "" "choose the mode of the row's user, VM or data centre";
    Screen [letter('D')] Drain "" "drain the row's data centre, or take its drain back";
    Screen [letter('F')] Forgive "" "forgive flaps of the row's user, so that it may be moved again";
    Screen [letter('B')] Glass "" "break the glass: approve or switch in spite of policy, with a reason";
    Screen [letter('p')] Policy "policy" "what policy allows now: budgets, flaps, drains, modes; once more: back";
    Screen [letter('P')] Plan "" "what would be best for all users at once, with a proof; nothing moves by it";
    Screen [letter('A')] Autonomy "" "what the engine has earned to do by itself, and why it rose or fell";
    Screen [letter('n')] Node "node" "a forwarder's messages and map cache; once more: back";
    Screen [key(KeyCode::Right)] NextNode "" "there: the next forwarder";
    Screen [key(KeyCode::Left)] PreviousNode "" "there: the forwarder before";
    Screen [letter(':')] Palette "command" "type a command; Tab completes, Up and Down go through earlier ones";
    Screen [letter('/')] Filter "filter" "show rows that match a regular expression; after ! hide them";
    Screen [key(KeyCode::Esc)] ClearFilter "" "show all rows again; then, back to the first pane";
    Screen [letter('s')] Sort "sort" "sort anew; if nothing moves, by the next column";
    Screen [letter('S')] Reverse "" "reverse the order";
    Screen [letter('f')] Freeze "freeze" "freeze the display; once more: show what is now";
    Screen [key(KeyCode::Tab)] FocusNext "pane" "next pane";
    Screen [key(KeyCode::BackTab)] FocusPrevious "" "previous pane";
    Screen [letter('k'), key(KeyCode::Up)] Up "" "row up";
    Screen [letter('j'), key(KeyCode::Down)] Down "" "row down";
    Screen [key(KeyCode::PageUp), control('b')] PageUp "" "page up";
    Screen [key(KeyCode::PageDown), control('f')] PageDown "" "page down";
    Screen [key(KeyCode::Home), letter('g')] First "" "first row";
    Screen [key(KeyCode::End), letter('G')] Last "" "last row";
    Screen [key(KeyCode::Enter)] Open "" "in the log: the line at the top, whole";
    Screen [letter('l')] Layout "layout" "next layout";
    Screen [letter('?')] Help "help" "this page";
    Screen [letter('q')] Quit "quit" "quit; asks first while a switch is under way, or if the engine would end";
    Always [control('c')] Leave "" "quit at once; if the engine would end, asks first, and twice is yes";
    Always [control('l')] Redraw "" "draw the screen anew";
    Dialog [key(KeyCode::Tab), key(KeyCode::Right), key(KeyCode::Down), letter('l'), letter('j')]
        NextChoice "choose" "next button";
    Dialog [key(KeyCode::BackTab), key(KeyCode::Left), key(KeyCode::Up), letter('h'), letter('k')]
        PreviousChoice "" "previous button";
    Dialog [key(KeyCode::Enter)] Press "press" "press the button with the focus; Cancel has it at first";
    Dialog [letter('y')] Confirm "yes" "press the other button, if there is just one";
    Dialog [key(KeyCode::Esc), letter('n'), letter('q')] Cancel "cancel" "close the dialog; nothing happens";
    Card [key(KeyCode::Esc), letter('q'), key(KeyCode::Enter)] Cancel "close" "close the card";
    Card [letter('w')] Why "ask again" "ask the engine again";
    Card [letter('k'), key(KeyCode::Up)] Up "" "line up";
    Card [letter('j'), key(KeyCode::Down)] Down "scroll" "line down";
    Card [key(KeyCode::PageUp), control('b')] PageUp "" "page up";
    Card [key(KeyCode::PageDown), control('f'), letter(' ')] PageDown "" "page down";
    Help [key(KeyCode::Esc), letter('?'), letter('q'), key(KeyCode::Enter)] Cancel "close" "close this page";
    Help [letter('k'), key(KeyCode::Up)] Up "" "line up";
    Help [letter('j'), key(KeyCode::Down)] Down "scroll" "line down";
    Help [key(KeyCode::PageUp)] PageUp "" "page up";
    Help [key(KeyCode::PageDown), letter(' ')] PageDown "" "page down";
    Field [key(KeyCode::Enter)] Keep "done" "keep the filter, go on with the reason";
    Field [key(KeyCode::Esc)] Cancel "as before" "as it was before: nothing happens";
    Field [key(KeyCode::Tab)] Complete "" "in a command: the next word that fits";
    Field [key(KeyCode::Up), control('p')] Older "" "in a command: the one before";
    Field [key(KeyCode::Down), control('n')] Newer "" "in a command: the one after";
    Field [key(KeyCode::Backspace), control('h')] Erase "" "erase the letter before the caret";
    Field [key(KeyCode::Delete), control('d')] EraseNext "" "erase the letter under the caret";
    Field [control('w')] EraseWord "" "erase the word before the caret";
    Field [control('u')] EraseBefore "" "erase all before the caret";
    Field [control('k')] EraseBehind "" "erase all from the caret on";
    Field [key(KeyCode::Left), control('b')] CaretLeft "" "one letter back";
    Field [key(KeyCode::Right), control('f')] CaretRight "" "one letter on";
    Field [key(KeyCode::Home), control('a')] CaretStart "" "to the beginning of the line";
    Field [key(KeyCode::End), control('e')] CaretEnd "" "to its end";
};

/// The word for each key of the screen in the command palette, so that whatever a key does can be typed too.
pub(crate) const SCREEN_VERBS: &[(&str, Intent)] = &[
    ("approve", Intent::Approve),
    ("reject", Intent::Reject),
    ("why", Intent::Why),
    ("switch", Intent::Switch),
    ("disarm", Intent::Arming),
    ("mode", Intent::Mode),
    ("mode-of", Intent::ModePart),
    ("drain", Intent::Drain),
    ("forgive", Intent::Forgive),
    ("glass", Intent::Glass),
    ("policy", Intent::Policy),
    ("plan", Intent::Plan),
    ("autonomy", Intent::Autonomy),
    ("node", Intent::Node),
    ("next-node", Intent::NextNode),
    ("previous-node", Intent::PreviousNode),
    ("command", Intent::Palette),
    ("filter", Intent::Filter),
    ("unfilter", Intent::ClearFilter),
    ("sort", Intent::Sort),
    ("reverse", Intent::Reverse),
    ("freeze", Intent::Freeze),
    ("pane", Intent::FocusNext),
    ("previous-pane", Intent::FocusPrevious),
    ("up", Intent::Up),
    ("down", Intent::Down),
    ("page-up", Intent::PageUp),
    ("page-down", Intent::PageDown),
    ("first", Intent::First),
    ("last", Intent::Last),
    ("open", Intent::Open),
    ("layout", Intent::Layout),
    ("help", Intent::Help),
    ("quit", Intent::Quit),
];

/// What a key means here.
pub(crate) fn intent(event: &KeyEvent, context: Context) -> Option<Intent> {
    let modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SUPER);
    let pressed = (modifiers, event.code);
    BINDINGS
        .iter()
        .filter(|binding| binding.context == context || binding.context == Context::Always)
        .find(|binding| binding.keys.contains(&pressed))
        .map(|binding| binding.intent)
}

impl Binding {
    /// Its first key, for the footer.
    pub(crate) fn key(&self) -> String {
        self.keys.first().map(name).unwrap_or_default()
    }

    /// All its keys, for help.
    fn keys(&self) -> String {
        self.keys.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

fn name((modifiers, code): &(KeyModifiers, KeyCode)) -> String {
    let name = match code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(letter) if modifiers.contains(CONTROL) => letter.to_ascii_uppercase().to_string(),
        KeyCode::Char(letter) => letter.to_string(),
        KeyCode::BackTab => "S-Tab".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        other => format!("{other}"),
    };
    if modifiers.contains(CONTROL) {
        format!("^{name}")
    } else {
        name
    }
}

/// Why an intent can do nothing now, in words that say what would change that; `None` if it can.
pub(crate) fn hindrance(app: &App, intent: Intent) -> Option<String> {
    match intent {
        Intent::Approve | Intent::Reject => hands_tied(app).or_else(|| no_proposal(app)),
        Intent::Why => app
            .unreachable()
            .or_else(|| too_small(app))
            .or_else(|| app.why_of_row().err()),
        Intent::Plan => app.unreachable().or_else(|| too_small(app)),
        Intent::Switch => hands_tied(app).or_else(|| no_user(app)),
        Intent::Arming => disarming(app),
        Intent::Mode => hands_tied(app),
        Intent::ModePart | Intent::Drain => hands_tied(app).or_else(|| app.row_of_choice().err()),
        Intent::Forgive => hands_tied(app).or_else(|| app.flaps_of_row().err()),
        Intent::Glass => hands_tied(app).or_else(|| app.glass_of_row().err()),
        Intent::Policy | Intent::Autonomy | Intent::Node | Intent::Palette if app.live.is_none() => {
            Some("the engine has not said anything yet".to_owned())
        }
        Intent::NextNode | Intent::PreviousNode if !app.has_pane(PaneKind::NodeLog) => Some(format!(
            "no forwarder is looked into on this screen; {} does",
            key_of(Intent::Node)
        )),
        Intent::Filter if app.has_pane(PaneKind::NodeLog) => None,
        Intent::Filter | Intent::Sort | Intent::Reverse if !app.has_pane(PaneKind::Links) => Some(format!(
            "there is no links table on this screen; {} changes the layout",
            key_of(Intent::Layout)
        )),
        Intent::Confirm
            if app
                .dialog
                .as_ref()
                .is_some_and(|dialog| dialog.only_deed().is_none()) =>
        {
            Some("there is more than one button to choose from".to_owned())
        }
        Intent::Open if app.focus != PaneKind::Log || !app.has_pane(PaneKind::Log) || !app.has_hands() => {
            let pane = key_of(Intent::FocusNext);
            Some(format!(
                "only a line of the log opens; {pane} goes there, if it is on the screen"
            ))
        }
        Intent::Open => app
            .line_of_log()
            .is_none()
            .then(|| "nothing has happened yet".to_owned()),
        Intent::Freeze if app.live.is_none() => Some("there is nothing to freeze yet".to_owned()),
        _ => None,
    }
}

/// What keeps the console from asking anything of the engine.
pub(crate) fn hands_tied(app: &App) -> Option<String> {
    if let Some(why) = app.unreachable() {
        Some(why)
    } else if app.frozen.is_some() {
        Some(format!(
            "the display is frozen; {} shows what is now",
            key_of(Intent::Freeze)
        ))
    } else if !app.has_hands() {
        Some(format!(
            "this layout is for looking only; {} changes it",
            key_of(Intent::Layout)
        ))
    } else {
        too_small(app)
    }
}

fn too_small(app: &App) -> Option<String> {
    app.is_tiny().then(|| {
        let (width, height) = app.least();
        format!("the window is too small to show what would be done; make it {width}x{height}")
    })
}

/// Taking hands off is allowed from any screen, also a frozen or a tiny one: it is never wrong because of what is shown.
pub(crate) fn disarming(app: &App) -> Option<String> {
    if app.is_disarmed() {
        hands_tied(app)
    } else {
        app.unreachable()
    }
}

fn no_proposal(app: &App) -> Option<String> {
    match app.selected_proposal() {
        None => Some("there is no proposal".to_owned()),
        Some(proposal) if proposal.state != proto::ProposalState::Open => Some(format!(
            "#{} is {}; only open proposals can be decided",
            proposal.id.0,
            proposal.state.word()
        )),
        Some(_) => None,
    }
}

fn no_user(app: &App) -> Option<String> {
    // Nobody is moved by a cursor that is not on the screen.
    let link = match app.link_of_row() {
        Ok(link) => link,
        Err(why) => return Some(why),
    };
    let rows = app.shown().and_then(|world| world.rlocs.get(&link.user));
    rows.is_none_or(Vec::is_empty)
        .then(|| format!("{} uses no VM", link.user))
}

/// A line of the help page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HelpLine {
    /// Where the keys below are taken.
    Title(&'static str),
    /// Keys, what they do, and whether they can do it now.
    Keys(String, &'static str, Hindered),
    /// Why the keys above can do nothing now.
    Why(String),
    /// A mark on the screen and its meaning.
    Mark(&'static str, &'static str),
    Blank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hindered {
    Yes,
    No,
}

const CONTEXTS: [(Context, &str); 5] = [
    (Context::Screen, "On the screen"),
    (Context::Always, "Anywhere"),
    (Context::Dialog, "In a dialog"),
    (Context::Card, "On a card"),
    (Context::Field, "While typing"),
];

const MARKS: [HelpLine; 4] = [
    HelpLine::Mark("o ~ x ?", "fine, warning, broken or down, stale"),
    HelpLine::Mark("▶ *", "the link carries the user's traffic; the VM's home"),
    HelpLine::Mark("×", "a probe was lost (it is never drawn as 0 ms)"),
    HelpLine::Mark("SLA ms", "what is left of the RTT bound; below 0 it is broken"),
];

/// The help page: what each key does here and now, and what the marks mean.
pub(crate) fn help(app: &App) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    for (context, title) in CONTEXTS {
        lines.push(HelpLine::Title(title));
        for binding in BINDINGS.iter().filter(|binding| binding.context == context) {
            let why = hindrance(app, binding.intent).filter(|_| context == Context::Screen);
            let hindered = if why.is_some() {
                Hindered::Yes
            } else {
                Hindered::No
            };
            lines.push(HelpLine::Keys(binding.keys(), binding.help, hindered));
            lines.extend(why.map(HelpLine::Why));
        }
        lines.push(HelpLine::Blank);
    }
    lines.push(HelpLine::Title("Marks"));
    lines.extend(MARKS);
    lines
}

/// The word for the footer: some keys do the opposite once they have done their work.
pub(crate) fn hint(app: &App, binding: &Binding) -> &'static str {
    match binding.intent {
        Intent::Arming if binding.context == Context::Screen && app.is_disarmed() => "arm",
        _ => binding.hint,
    }
}

/// The key of an intent in one place.
pub(crate) fn key_in(context: Context, intent: Intent) -> String {
    let here = |binding: &&Binding| binding.context == context && binding.intent == intent;
    BINDINGS.iter().find(here).map(Binding::key).unwrap_or_default()
}

/// The key of an intent on the panes, for sentences.
pub(crate) fn key_of(intent: Intent) -> String {
    let on_screen = |binding: &&Binding| matches!(binding.context, Context::Screen | Context::Always);
    BINDINGS
        .iter()
        .filter(on_screen)
        .find(|binding| binding.intent == intent)
        .map(Binding::key)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (index, binding) in BINDINGS.iter().enumerate() {
            for other in BINDINGS.iter().skip(index + 1) {
                let meet = binding.context == other.context
                    || [binding.context, other.context].contains(&Context::Always);
                let shared = binding.keys.iter().any(|key| other.keys.contains(key));
                assert!(
                    !(meet && shared),
                    "{:?} and {:?} share a key",
                    binding.intent,
                    other.intent
                );
            }
        }
    }

    /// M15.
    #[test]
    fn whatever_a_key_of_the_screen_does_can_be_typed() {
        for binding in BINDINGS
            .iter()
            .filter(|binding| binding.context == Context::Screen)
        {
            let verbs = SCREEN_VERBS
                .iter()
                .filter(|(_, intent)| *intent == binding.intent);
            assert_eq!(verbs.count(), 1, "{:?}", binding.intent);
        }
        let names: std::collections::BTreeSet<&str> = SCREEN_VERBS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), SCREEN_VERBS.len(), "a word means one thing");
    }

    #[test]
    fn capital_letters_come_with_and_without_shift() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            let event = KeyEvent::new(KeyCode::Char('S'), modifiers);
            assert_eq!(intent(&event, Context::Screen), Some(Intent::Reverse));
        }
    }

    #[test]
    fn alt_and_control_letters_are_not_the_plain_letters() {
        for modifiers in [KeyModifiers::ALT, KeyModifiers::CONTROL] {
            assert_eq!(
                intent(&KeyEvent::new(KeyCode::Char('a'), modifiers), Context::Screen),
                None
            );
        }
    }
}
