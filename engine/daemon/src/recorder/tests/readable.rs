//! Whatever is taken in can be read again.

use lisp_wire::Rloc;
use proptest::prelude::*;
use proto::node::ChangeOutcome;
use proto::{ActionClass, ChangeId, Disarmed, FlapKey, Forced, ProposalId, Scope, Score, Verdict};

use super::*;
use crate::record::{Entry, Next, Reader};

fn name<N>() -> impl Strategy<Value = N>
where
    N: std::str::FromStr + std::fmt::Debug,
    N::Err: std::fmt::Debug,
{
    "[a-zA-Z0-9][-a-zA-Z0-9_.]{0,62}".prop_map(|text| text.parse().unwrap())
}

fn rloc() -> impl Strategy<Value = Rloc> {
    any::<std::net::IpAddr>().prop_map(Rloc)
}

fn span() -> impl Strategy<Value = Span> {
    any::<u64>().prop_map(Span)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Observe, Mode::Recommend, Mode::Auto])
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::All),
        name().prop_map(|dc| Scope::Dc { dc }),
        name().prop_map(|tenant| Scope::Tenant { tenant }),
        name().prop_map(|vm| Scope::Vm { vm }),
        name().prop_map(|user| Scope::User { user }),
    ]
}

fn forced() -> impl Strategy<Value = Forced> {
    let verdict = prop::sample::select(vec![Verdict::Approve, Verdict::Reject]);
    prop_oneof![
        (any::<u64>(), any::<u32>(), verdict).prop_map(|(id, revision, verdict)| Forced::Decide {
            proposal: ProposalId(id),
            revision,
            verdict,
        }),
        (name(), name(), name()).prop_map(|(user, vm, to)| Forced::Switch { user, vm, to }),
    ]
}

fn score() -> impl Strategy<Value = Command> {
    let session = (
        name(),
        prop::option::of(name()),
        prop::option::of(moment()),
        prop::option::of(span()),
    );
    (session, 1..=5_u8, any::<String>()).prop_map(|((user, vm, ended_at, lasted), score, note)| {
        Command::Score {
            session: proto::qoe::Session {
                user,
                vm,
                ended_at,
                lasted,
            },
            score: Score::new(score).unwrap(),
            note,
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let how = prop::sample::select(vec![Disarmed::Freeze, Disarmed::Ignore]);
    let flap = prop_oneof![
        (name(), name()).prop_map(|(user, vm)| FlapKey::Entry { user, vm }),
        (name(), name()).prop_map(|(user, dc)| FlapKey::Locator { user, dc }),
    ];
    let class = || {
        prop::sample::select(vec!["switch/rtt/interactive", "switch/down/x"])
            .prop_map(|text| text.parse::<ActionClass>().unwrap())
    };
    prop_oneof![
        forced().prop_map(Command::from),
        mode().prop_map(|mode| Command::SetMode { mode }),
        (scope(), prop::option::of(mode())).prop_map(|(scope, mode)| Command::SetModeAt { scope, mode }),
        how.prop_map(|how| Command::Disarm { how }),
        Just(Command::Arm),
        name().prop_map(|dc| Command::Drain { dc }),
        name().prop_map(|dc| Command::Undrain { dc }),
        flap.prop_map(|key| Command::Forgive { key }),
        class().prop_map(|class| Command::ForgiveClass { class }),
        (class(), prop::option::of(mode())).prop_map(|(class, mode)| Command::PinClass { class, mode }),
        (name(), prop::option::of(name()), prop::option::of(name()))
            .prop_map(|(user, vm, to)| Command::Why { user, vm, to }),
        score(),
        (any::<String>(), forced()).prop_map(|(reason, ask)| Command::BreakGlass { reason, ask }),
    ]
}

fn report() -> impl Strategy<Value = NodeReport> {
    let outcome = prop_oneof![
        span().prop_map(ProbeOutcome::Rtt),
        span().prop_map(ProbeOutcome::Overdue),
        Just(ProbeOutcome::Lost),
    ];
    let sample = (rloc(), moment(), outcome).prop_map(|(target, sent_at, outcome)| ProbeSample {
        target,
        sent_at,
        outcome,
    });
    let changed = prop_oneof![
        Just(ChangeOutcome::Stored),
        (rloc(), span(), any::<u32>()).prop_map(|(client, after, attempts)| ChangeOutcome::Acknowledged {
            client,
            after,
            attempts,
        }),
        (rloc(), any::<usize>(), span()).prop_map(|(destination, clients, after)| ChangeOutcome::Prepared {
            destination,
            clients,
            after,
        }),
        (rloc(), any::<u32>()).prop_map(|(client, attempts)| ChangeOutcome::Unanswered { client, attempts }),
    ];
    prop_oneof![
        prop::collection::vec(sample, 0..5).prop_map(|samples| NodeReport::Probes { samples }),
        (any::<u64>(), changed).prop_map(|(change, outcome)| NodeReport::Changed {
            change: ChangeId(change),
            outcome,
        }),
        (
            name(),
            any::<String>(),
            prop::collection::vec(rloc(), 0..3),
            moment()
        )
            .prop_map(|(name, version, rlocs, since)| NodeReport::Hello {
                name,
                version,
                rlocs,
                since,
            }),
        any::<String>().prop_map(|why| NodeReport::Refused { why }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let by = prop_oneof![
        any::<String>().prop_map(|name| Actor::Operator { name }),
        Just(Actor::Engine),
    ];
    prop_oneof![
        1 => Just(Input::Tick),
        1 => Just(Input::Started),
        2 => name().prop_map(|site| Input::NodeUp { site }),
        2 => (name(), any::<String>()).prop_map(|(site, why)| Input::NodeDown { site, why }),
        8 => (name(), report()).prop_map(|(site, report)| Input::Report { site, report }),
        2 => (name(), name(), any::<Option<u32>>())
            .prop_map(|(site, vm, cost)| Input::FabricCost { site, vm, cost }),
        8 => (any::<String>(), by, command()).prop_map(|(request, by, command)| Input::Command {
            request: RequestId(request),
            by,
            command,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_input_reads_back_from_its_line_as_it_was(inputs in prop::collection::vec(input(), 1..20)) {
        let mut written = Written::new();
        for input in &inputs {
            written.recorder.input(written.now, input).unwrap();
        }
        written.recorder.commit().unwrap();
        let (mut reader, _) = Reader::open(&written.path).unwrap();
        let mut read = Vec::new();
        while let Next::Entry(entry) = reader.next().unwrap() {
            if let Entry::Input { input, .. } = *entry {
                read.push(input);
            }
        }
        prop_assert_eq!(&read[1..], &inputs[..]);
    }
}
