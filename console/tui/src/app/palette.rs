//! The command palette: a line of words becomes what a key would have done, with its arguments. What changes anything opens
//! the same question as the key does, with *Cancel* first, so neither a pasted line nor a fat finger does anything by itself.

use proto::inspect::{LogFilter, MessageKind};
use proto::policy::DrainRow;
use proto::{
    ActionClass, Command, Disarmed, FlapKey, Forced, Mode, ProposalId, Scope, SiteName, Span, TenantName,
    UserName, Verdict, VmName,
};

use super::nodelog::log_filter;
use super::table::Sort;
use super::world::World;
use crate::keymap::{Intent, SCREEN_VERBS};

/// Verbs that have words of their own besides those of the keys, and how they are written.
const USAGE: [(&str, &str); 24] = [
    ("approve", "approve NUMBER"),
    ("reject", "reject NUMBER"),
    ("why", "why USER [VM] [DC]"),
    ("switch", "switch USER [VM] DC"),
    ("disarm", "disarm freeze|ignore"),
    ("arm", "arm"),
    (
        "mode",
        "mode observe|recommend|auto|inherit [user|vm|dc|tenant NAME]",
    ),
    ("drain", "drain DC"),
    ("undrain", "undrain DC"),
    ("forgive", "forgive USER VM|DC"),
    (
        "glass",
        "glass switch USER [VM] DC because REASON, or glass approve NUMBER because REASON",
    ),
    ("filter", "filter REGEX"),
    ("sort", "sort COLUMN"),
    ("layout", "layout NAME"),
    ("node", "node [DC]"),
    (
        "log",
        "log [peer ADDRESS] [eid PREFIX] [type TYPE,TYPE] [in|out] [refused]",
    ),
    ("policy", "policy"),
    (
        "plan",
        "plan [price LENGTH] [within LENGTH], such as plan price 5ms within 10s",
    ),
    ("autonomy", "autonomy"),
    ("pin", "pin CLASS recommend|auto"),
    ("unpin", "unpin CLASS"),
    ("pardon", "pardon CLASS"),
    ("help", "help"),
    ("quit", "quit"),
];

/// The word between a command and its reason.
const BECAUSE: &str = "because";

/// A line as it may be kept: without the reason for breaking the glass.
pub(crate) fn without_reason(line: &str) -> &str {
    let is_glass = line.split_whitespace().next() == Some("glass");
    let word = format!(" {BECAUSE} ");
    let end = line.find(&word).filter(|_| is_glass).map(|at| at + word.len());
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the key of this intent.
    Act(Intent),
    /// To be asked of the engine, after a question.
    Command(Command),
    /// To be asked at once, the answer on a card: nothing changes by it.
    Card(Command),
    Filter(String),
    Sort(Sort),
    Layout(String),
    /// Which of a forwarder's messages are shown.
    Log(LogFilter),
    /// Which forwarder is looked into.
    Node(SiteName),
}

/// What lines are read against.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) world: &'a World,
    pub(crate) layouts: &'a [String],
}

/// Reads a line; else says what would be right.
pub(crate) fn parse(line: &str, known: Known<'_>) -> Result<Order, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((verb, args)) = words.split_first() else {
        return Err("type a command; Tab completes it".to_owned());
    };
    if args.is_empty()
        && let Some((_, intent)) = SCREEN_VERBS.iter().find(|(name, _)| name == verb)
    {
        return Ok(Order::Act(*intent));
    }
    match *verb {
        "why" => why(args, known).map(Order::Card),
        "plan" => plan(args).map(Order::Card),
        "filter" => Ok(Order::Filter(args.join(" "))),
        "sort" => column(args, verb).map(Order::Sort),
        "layout" => layout(args, known),
        "log" => log_filter(args).map(Order::Log),
        "node" => match args {
            [name] => dc(name, known.world).map(Order::Node),
            _ => Err(usage("node")),
        },
        "glass" => glass(args, known).map(Order::Command),
        "approve" | "reject" | "switch" | "disarm" | "arm" | "mode" | "drain" | "undrain" | "forgive"
        | "pin" | "unpin" | "pardon" => command(verb, args, known).map(Order::Command),
        _ if SCREEN_VERBS.iter().any(|(name, _)| name == verb) => {
            Err(format!("'{verb}' takes nothing after it"))
        }
        _ => Err(format!("there is no command '{verb}'")),
    }
}

fn command(verb: &str, args: &[&str], known: Known<'_>) -> Result<Command, String> {
    let world = known.world;
    match (verb, args) {
        ("approve", [number]) => decide(number, Verdict::Approve, world),
        ("reject", [number]) => decide(number, Verdict::Reject, world),
        ("switch", [name, rest @ ..]) => {
            let name = user(name, world)?;
            let (vm, to) = match rest {
                [to] => (only_vm(&name, world)?, to),
                [vm, to] => (vm_of(vm, &name, world)?, to),
                _ => return Err(usage(verb)),
            };
            Ok(Command::Switch {
                user: name,
                vm,
                to: dc(to, world)?,
            })
        }
        ("disarm", ["freeze"]) => Ok(Command::Disarm {
            how: Disarmed::Freeze,
        }),
        ("disarm", ["ignore"]) => Ok(Command::Disarm {
            how: Disarmed::Ignore,
        }),
        ("arm", []) => Ok(Command::Arm),
        ("mode", [word]) => match mode(word)? {
            Some(mode) => Ok(Command::SetMode { mode }),
            None => Err("inherit is for a part: name it by user, vm, dc or tenant".to_owned()),
        },
        ("mode", [word, part, name]) => Ok(Command::SetModeAt {
            scope: scope(part, name, world)?,
            mode: mode(word)?,
        }),
        ("drain", [name]) => Ok(Command::Drain { dc: dc(name, world)? }),
        ("undrain", [name]) => Ok(Command::Undrain { dc: dc(name, world)? }),
        ("forgive", [name, of]) => {
            let user = user(name, world)?;
            let key = match vm_of(of, &user, world) {
                Ok(vm) => FlapKey::Entry { user, vm },
                Err(_) => FlapKey::Locator {
                    dc: dc(of, world)?,
                    user,
                },
            };
            Ok(Command::Forgive { key })
        }
        ("pin", [name, word]) => match mode(word)? {
            Some(mode @ (Mode::Recommend | Mode::Auto)) => Ok(Command::PinClass {
                class: class(name, world)?,
                mode: Some(mode),
            }),
            Some(Mode::Observe) | None => Err(usage(verb)),
        },
        ("unpin", [name]) => Ok(Command::PinClass {
            class: class(name, world)?,
            mode: None,
        }),
        ("pardon", [name]) => Ok(Command::ForgiveClass {
            class: class(name, world)?,
        }),
        _ => Err(usage(verb)),
    }
}

fn class(name: &str, world: &World) -> Result<ActionClass, String> {
    let rows = &world.policy.autonomy;
    let found = rows.iter().find(|row| row.class.to_string() == name);
    found
        .map(|row| row.class.clone())
        .ok_or_else(|| unknown("class of actions", name, rows.iter().map(|row| &row.class)))
}

fn plan(args: &[&str]) -> Result<Command, String> {
    let (mut price, mut budget) = (None, None);
    for pair in args.chunks(2) {
        let (which, length) = match pair {
            ["price", length] => (&mut price, length),
            ["within", length] => (&mut budget, length),
            _ => return Err(usage("plan")),
        };
        *which = Some(Span::parse(length).map_err(|error| error.to_string())?);
    }
    Ok(Command::Plan { price, budget })
}

fn glass(args: &[&str], known: Known<'_>) -> Result<Command, String> {
    let at = args.iter().position(|word| *word == BECAUSE);
    let (ask, reason) = at.map_or((args, &[][..]), |at| args.split_at(at));
    let ask = match ask.split_first() {
        Some((verb @ (&"switch" | &"approve"), args)) => command(verb, args, known)?,
        _ => return Err(usage("glass")),
    };
    let reason = reason.get(1..).unwrap_or_default().join(" ");
    if reason.is_empty() {
        return Err(format!("say why: {BECAUSE} REASON; it goes on the record"));
    }
    let ask = Forced::try_from(ask).map_err(|error| error.to_string())?;
    Ok(Command::BreakGlass { reason, ask })
}

fn why(args: &[&str], known: Known<'_>) -> Result<Command, String> {
    let world = known.world;
    let [name, rest @ ..] = args else {
        return Err(usage("why"));
    };
    let user = user(name, world)?;
    let (vm, to) = match rest {
        [] => (None, None),
        [one] => match vm_of(one, &user, world) {
            Ok(vm) => (Some(vm), None),
            Err(_) => (None, Some(dc(one, world)?)),
        },
        [vm, to] => (Some(vm_of(vm, &user, world)?), Some(dc(to, world)?)),
        _ => return Err(usage("why")),
    };
    Ok(Command::Why { user, vm, to })
}

fn layout(args: &[&str], known: Known<'_>) -> Result<Order, String> {
    match args {
        [name] if known.layouts.iter().any(|layout| layout == name) => Ok(Order::Layout((*name).to_owned())),
        [name] => Err(unknown("layout", name, known.layouts.iter())),
        _ => Err(usage("layout")),
    }
}

fn column(args: &[&str], verb: &str) -> Result<Sort, String> {
    let name = args.join(" ");
    let found = Sort::ALL
        .into_iter()
        .find(|sort| sort.word().eq_ignore_ascii_case(&name));
    let words = Sort::ALL.map(Sort::word);
    found.ok_or_else(|| unknown("column", &format!("{name}' to {verb} by, not '"), words.iter()))
}

fn decide(number: &str, verdict: Verdict, world: &World) -> Result<Command, String> {
    let id = number.trim_start_matches('#').parse().map(ProposalId);
    let id = id.map_err(|_| format!("'{number}' is not the number of a proposal"))?;
    let proposal = world
        .proposals
        .get(&id)
        .ok_or_else(|| unknown("proposal", number, open(world).iter()))?;
    if proposal.state != proto::ProposalState::Open {
        return Err(format!(
            "#{} is {}; only open proposals can be decided",
            id.0,
            proposal.state.word()
        ));
    }
    Ok(Command::Decide {
        proposal: id,
        revision: proposal.revision,
        verdict,
    })
}

fn mode(word: &str) -> Result<Option<Mode>, String> {
    match word {
        "observe" => Ok(Some(Mode::Observe)),
        "recommend" => Ok(Some(Mode::Recommend)),
        "auto" => Ok(Some(Mode::Auto)),
        "inherit" => Ok(None),
        _ => Err(format!(
            "'{word}' is no mode: use observe, recommend, auto or inherit"
        )),
    }
}

fn scope(part: &str, name: &str, world: &World) -> Result<Scope, String> {
    match part {
        "user" => user(name, world).map(|user| Scope::User { user }),
        "dc" => dc(name, world).map(|dc| Scope::Dc { dc }),
        "vm" => vms(world)
            .into_iter()
            .find(|vm| vm.as_str() == name)
            .map(|vm| Scope::Vm { vm })
            .ok_or_else(|| unknown("VM", name, vms(world).iter())),
        // The console is told no tenants; the engine knows them, and refuses others by name.
        "tenant" => TenantName::new(name)
            .map(|tenant| Scope::Tenant { tenant })
            .map_err(|error| error.to_string()),
        _ => Err(format!("'{part}' is no part: use user, vm, dc or tenant")),
    }
}

fn user(name: &str, world: &World) -> Result<UserName, String> {
    let users = users(world);
    let found = users.iter().find(|user| user.as_str() == name).cloned();
    found.ok_or_else(|| unknown("user", name, users.iter()))
}

/// By its name, or as it is labelled.
fn dc(name: &str, world: &World) -> Result<SiteName, String> {
    let named = |site: &&SiteName| site.as_str() == name || world.label(site).eq_ignore_ascii_case(name);
    let found = world.nodes.iter().map(|node| &node.site).find(named).cloned();
    found.ok_or_else(|| unknown("data centre", name, world.nodes.iter().map(|node| &node.site)))
}

fn vm_of(name: &str, user: &UserName, world: &World) -> Result<VmName, String> {
    let vms = vms_of(user, world);
    let found = vms.iter().find(|vm| vm.as_str() == name).cloned();
    found.ok_or_else(|| unknown(&format!("VM of {user}"), name, vms.iter()))
}

fn only_vm(user: &UserName, world: &World) -> Result<VmName, String> {
    match vms_of(user, world).as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!("{user} uses no VM")),
        several => {
            let names: Vec<&str> = several.iter().map(VmName::as_str).collect();
            Err(format!(
                "{user} uses several VMs: name one of {}",
                names.join(", ")
            ))
        }
    }
}

fn users(world: &World) -> Vec<UserName> {
    let mut users: Vec<UserName> = world.links.keys().map(|link| link.user.clone()).collect();
    users.dedup();
    users
}

fn vms(world: &World) -> Vec<VmName> {
    let mut vms: Vec<VmName> = world.rlocs.values().flatten().map(|row| row.vm.clone()).collect();
    vms.sort();
    vms.dedup();
    vms
}

fn vms_of(user: &UserName, world: &World) -> Vec<VmName> {
    let rows = world.rlocs.get(user).map(Vec::as_slice).unwrap_or_default();
    let mut vms: Vec<VmName> = rows.iter().map(|row| row.vm.clone()).collect();
    vms.sort();
    vms.dedup();
    vms
}

fn open(world: &World) -> Vec<String> {
    let open = world
        .proposals
        .values()
        .filter(|one| one.state == proto::ProposalState::Open);
    open.map(|one| one.id.0.to_string()).collect()
}

fn usage(verb: &str) -> String {
    let found = USAGE.iter().find(|(name, _)| *name == verb);
    found.map_or_else(
        || format!("there is no command '{verb}'"),
        |(_, usage)| format!("write it {usage}"),
    )
}

fn unknown<N: ToString>(what: &str, name: &str, known: impl Iterator<Item = N>) -> String {
    let mut names: Vec<String> = known.map(|name| name.to_string()).collect();
    let more = names.len().saturating_sub(6);
    names.truncate(6);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    format!("no {what} '{name}'; known: {names}{more}")
}

/// Words that the last word of the line may become, in their order.
pub(crate) fn candidates(line: &str, known: Known<'_>) -> Vec<String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let begun = if line.ends_with(char::is_whitespace) || line.is_empty() {
        ""
    } else {
        words.pop().unwrap_or_default()
    };
    let begun = begun.to_lowercase();
    let mut fitting = expected(&words, known);
    fitting.retain(|word| word.to_lowercase().starts_with(&begun));
    fitting
}

/// What may come after these words.
fn expected(words: &[&str], known: Known<'_>) -> Vec<String> {
    let world = known.world;
    let plain = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let dcs = || {
        world
            .nodes
            .iter()
            .map(|node| node.site.to_string())
            .collect::<Vec<_>>()
    };
    let names = |users: Vec<UserName>| users.iter().map(ToString::to_string).collect::<Vec<_>>();
    let of = |name: &str| user(name, world).map_or_else(|_| Vec::new(), |user| vms_of(&user, world));
    match words {
        [] => {
            let own = USAGE.iter().map(|(name, _)| *name);
            let mut verbs: Vec<&str> = own.chain(SCREEN_VERBS.iter().map(|(name, _)| *name)).collect();
            let mut seen = std::collections::BTreeSet::new();
            verbs.retain(|verb| seen.insert(*verb));
            plain(&verbs)
        }
        ["approve" | "reject"] => open(world),
        ["why" | "switch"] | ["mode", _, "user"] => names(users(world)),
        ["why" | "switch", name] => {
            let vms = of(name).iter().map(ToString::to_string).collect::<Vec<_>>();
            dcs().into_iter().chain(vms).collect()
        }
        ["why" | "switch", name, vm] if of(name).iter().any(|own| own.as_str() == *vm) => dcs(),
        ["plan"] => plain(&["price", "within"]),
        ["pin" | "unpin" | "pardon"] => {
            let classes = world.policy.autonomy.iter();
            classes.map(|row| row.class.to_string()).collect()
        }
        ["pin", _] => plain(&["recommend", "auto"]),
        ["disarm"] => plain(&["freeze", "ignore"]),
        ["mode"] => plain(&["observe", "recommend", "auto", "inherit"]),
        ["mode", _] => plain(&["user", "vm", "dc", "tenant"]),
        ["mode", _, "vm"] => vms(world).iter().map(ToString::to_string).collect(),
        ["mode", _, "dc"] | ["drain" | "node"] => dcs(),
        ["log", .., "type"] => MessageKind::ALL
            .iter()
            .map(|kind| kind.name().to_owned())
            .collect(),
        ["log", .., "peer" | "eid"] => Vec::new(),
        ["log", ..] => plain(&["peer", "eid", "type", "in", "out", "refused", "all"]),
        ["undrain"] => {
            let drained = |drain: &DrainRow| drain.dc.to_string();
            world.policy.drains.iter().map(drained).collect()
        }
        ["forgive"] => {
            let mut users: Vec<UserName> = world
                .policy
                .flaps
                .iter()
                .map(|flap| flapped(&flap.key).0)
                .collect();
            users.sort();
            users.dedup();
            names(users)
        }
        ["forgive", name] => {
            let flaps = world.policy.flaps.iter().map(|flap| flapped(&flap.key));
            flaps
                .filter(|(user, _)| user.as_str() == *name)
                .map(|(_, of)| of)
                .collect()
        }
        ["glass"] => plain(&["switch", "approve"]),
        ["glass", rest @ ..] if !rest.contains(&BECAUSE) => {
            let next = expected(rest, known);
            if next.is_empty() {
                vec![BECAUSE.to_owned()]
            } else {
                next.into_iter().chain([BECAUSE.to_owned()]).collect()
            }
        }
        ["sort"] => plain(&Sort::ALL.map(Sort::word)),
        ["layout"] => known.layouts.to_vec(),
        _ => Vec::new(),
    }
}

fn flapped(key: &FlapKey) -> (UserName, String) {
    match key {
        FlapKey::Entry { user, vm } => (user.clone(), vm.to_string()),
        FlapKey::Locator { user, dc } => (user.clone(), dc.to_string()),
    }
}

/// The line with its last word made this one.
pub(crate) fn completed(line: &str, word: &str) -> String {
    let kept = match line.rfind(char::is_whitespace) {
        Some(at) => line.get(..=at).unwrap_or_default(),
        None => "",
    };
    format!("{kept}{word} ")
}
