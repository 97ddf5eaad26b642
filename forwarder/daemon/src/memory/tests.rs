use std::sync::mpsc::{Receiver, Sender, channel};

use node::To;
use proto::ChangeId;
use proto::node::ChangeOutcome;

use super::*;

/// A disk that tells when it is written to, and takes as long as it is told to.
struct Slow {
    began: Sender<()>,
    goes: Receiver<io::Result<()>>,
}

impl Disk for Slow {
    fn store(&self, _: &State) -> io::Result<()> {
        self.began.send(()).unwrap();
        self.goes.recv().unwrap()
    }
}

struct Scene {
    memory: Memory,
    began: Receiver<()>,
    goes: Sender<io::Result<()>>,
}

fn scene() -> Scene {
    let ((began, told), (goes, taken)) = (channel(), channel());
    let disk = Slow { began, goes: taken };
    Scene {
        memory: Memory::start(disk).unwrap(),
        began: told,
        goes,
    }
}

impl Scene {
    /// A state is on its way to the disk.
    fn keep(&mut self) {
        self.memory.keep(State::default());
        self.began.recv().unwrap();
    }

    /// The disk is done with it, and the bell has rung.
    fn done(&mut self, outcome: io::Result<()>) {
        self.goes.send(outcome).unwrap();
        let mut bell = [0];
        self.memory.wake.set_nonblocking(false).unwrap();
        (&self.memory.wake).read_exact(&mut bell).unwrap();
        self.memory.wake.set_nonblocking(true).unwrap();
    }

    fn said(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.memory.next_said())
            .filter_map(|effect| match effect {
                Effect::Send { dscp, .. } => Some(dscp),
                _ => None,
            })
            .collect()
    }

    fn row(&self, name: &str) -> u64 {
        let mut rows = self.memory.counter_rows();
        rows.find(|row| row.name == name).unwrap().value
    }
}

/// A datagram that begins with this byte, and so is of this kind; its DSCP tells it apart.
fn send(first: u8, dscp: u8) -> Effect {
    let to = "192.0.2.1:4342".parse().unwrap();
    Effect::Send {
        from: None,
        to,
        bytes: vec![first, 0, 0, 0],
        dscp,
    }
}

const PROBE: u8 = 0x12;
const PROBE_REPLY: u8 = 0x28;
const QUESTION: u8 = 0x80;
const SOLICITATION: u8 = 0x11;
const REPLY: u8 = 0x20;
const REGISTER: u8 = 0x30;
const EXTENSION: u8 = 0xf0;

fn report(report: NodeReport) -> Effect {
    Effect::Report {
        to: To::Subscribers,
        reply_to: None,
        report,
    }
}

#[test]
fn what_rests_on_a_state_is_said_when_the_disk_has_it_and_probes_never_wait() {
    let mut scene = scene();
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 1), Follows::Others)
            .is_some()
    );
    scene.keep();
    // The acknowledgement, and whatever comes behind it and tells of what was done.
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 2), Follows::TheState)
            .is_none()
    );
    for (dscp, kind) in [(3, EXTENSION), (4, REPLY), (5, REGISTER), (6, SOLICITATION)] {
        let held = scene.memory.hold_back(send(kind, dscp), Follows::Others);
        assert!(held.is_none(), "{kind:#x}");
    }
    let changed = NodeReport::Changed {
        change: ChangeId(1),
        outcome: ChangeOutcome::Stored,
    };
    assert!(scene.memory.hold_back(report(changed), Follows::Others).is_none());
    for kind in [PROBE, PROBE_REPLY, QUESTION] {
        let passes = scene.memory.hold_back(send(kind, 0), Follows::Others);
        assert!(passes.is_some(), "{kind:#x}");
    }
    let figures = NodeReport::MapCache { rows: Vec::new() };
    assert!(scene.memory.hold_back(report(figures), Follows::Others).is_some());
    assert!(scene.memory.next_said().is_none());
    scene.done(Ok(()));
    assert_eq!(scene.said(), [2, 3, 4, 5, 6], "in their order");
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 7), Follows::Others)
            .is_some()
    );
    assert_eq!(
        (
            scene.row("control.state.stored"),
            scene.row("control.state.failed")
        ),
        (1, 0)
    );
}

#[test]
fn what_is_stored_for_later_use_keeps_nobody_waiting() {
    let mut scene = scene();
    scene.keep();
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 1), Follows::Others)
            .is_some()
    );
    scene.done(Ok(()));
}

#[test]
fn states_that_pile_up_are_one_and_what_rests_on_the_newest_waits_for_it() {
    let mut scene = scene();
    scene.keep();
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 1), Follows::TheState)
            .is_none()
    );
    for dscp in [2, 3] {
        scene.memory.keep(State::default());
        assert!(
            scene
                .memory
                .hold_back(send(EXTENSION, dscp), Follows::TheState)
                .is_none()
        );
    }
    scene.done(Ok(()));
    assert_eq!(scene.said(), [1]);
    scene.began.recv().unwrap();
    scene.done(Ok(()));
    assert_eq!(scene.said(), [2, 3]);
    assert_eq!(scene.row("control.state.stored"), 2);
}

#[test]
fn a_disk_that_fails_is_told_of_tried_again_and_silences_nobody() {
    let mut scene = scene();
    scene.keep();
    assert!(
        scene
            .memory
            .hold_back(send(EXTENSION, 1), Follows::TheState)
            .is_none()
    );
    scene.done(Err(io::Error::other("no space left")));
    assert_eq!(scene.said(), [1]);
    assert_eq!(
        (
            scene.row("control.state.failed"),
            scene.row("control.state.failing")
        ),
        (1, 1)
    );
    // Nothing new comes; the same is tried again after a while.
    scene.began.recv().unwrap();
    scene.done(Ok(()));
    assert_eq!(
        (
            scene.row("control.state.stored"),
            scene.row("control.state.failing")
        ),
        (1, 0)
    );
}

#[test]
fn the_end_waits_for_the_disk() {
    let mut scene = scene();
    scene.keep();
    assert!(
        scene
            .memory
            .hold_back(send(REGISTER, 1), Follows::TheState)
            .is_none()
    );
    scene.goes.send(Ok(())).unwrap();
    scene.memory.finish();
    assert_eq!(scene.said(), [1]);
}
