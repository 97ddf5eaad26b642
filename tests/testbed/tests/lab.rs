//! A lab with real namespaces, cables and packets, and forwarders that forward nothing. Needs root (`rootless.rs` shows
//! the other way).
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use engine::Session;
use proto::{SiteName, Span, UserName, VmName};
use testbed::traffic::{EchoSummary, TrafficLine};
use testbed::{Fabric, Lab, LabOptions, Namespace, Node, Progress};

/// What the thesis's receiver advertises (section 5.4).
const WINDOW: f64 = 163_840.0;

fn fabric() -> Fabric {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sessions/table-5-1.yaml");
    Fabric::of(&Session::read(&path).unwrap()).unwrap()
}

struct Built {
    lab: Lab,
    base: tempfile::TempDir,
}

fn build() -> Built {
    testbed::enter().expect("these tests make network namespaces: run them as root");
    let base = tempfile::tempdir().unwrap();
    let options = LabOptions {
        program: env!("CARGO_BIN_EXE_testbed").into(),
        forwarder: vec![env!("CARGO_BIN_EXE_stand-in").into()],
        base: Some(base.path().to_owned()),
        outsiders: [("stranger".to_owned(), "172.16.66.6".parse().unwrap())].into(),
        patience: Duration::from_secs(30),
        conduct: testbed::Conduct::default(),
    };
    let mut progress = Vec::new();
    let lab = Lab::start(&fabric(), options, &mut |step| progress.push(step)).unwrap();
    assert_eq!(
        progress[..2],
        [Progress::Wired { namespaces: 13 }, Progress::LineUp]
    );
    assert!(matches!(
        progress.last(),
        Some(Progress::ForwarderUp { up: 7, of: 7, .. })
    ));
    Built { lab, base }
}

fn site(name: &str) -> Node {
    Node::Site(SiteName::new(name).unwrap())
}

fn user(name: &str) -> Node {
    Node::User(UserName::new(name).unwrap())
}

fn serve(lab: &Lab, namespace: &Namespace, address: &str) -> Served {
    let mut command = lab.traffic();
    command
        .args(["serve", "--listen", address])
        .stdout(Stdio::piped());
    let mut child = namespace.spawn(command).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(
        serde_json::from_str::<TrafficLine>(&line).unwrap(),
        TrafficLine::Serving {
            at: address.parse().unwrap()
        }
    );
    Served(child)
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn traffic(lab: &Lab, namespace: &Namespace, arguments: &[&str]) -> Vec<TrafficLine> {
    let mut command = lab.traffic();
    command.args(arguments).stdout(Stdio::piped());
    let output = namespace.spawn(command).unwrap().wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn echo(lab: &Lab, from: &Namespace, to: &str) -> EchoSummary {
    match traffic(lab, from, &["echo", "--seconds", "0.5", to]).pop() {
        Some(TrafficLine::Echoed(summary)) => summary,
        other => panic!("{other:?}"),
    }
}

/// Bytes a second over `time_ms` from `from_ms` on, and the windows advertised meanwhile.
fn rate(lines: &[TrafficLine], from_ms: f64, time_ms: f64) -> (f64, Vec<u32>) {
    let volumes: Vec<(f64, u64, Option<u32>)> = lines
        .iter()
        .filter_map(|line| match line {
            TrafficLine::Volume { at_ms, bytes, window } => Some((*at_ms, *bytes, *window)),
            _ => None,
        })
        .filter(|(at_ms, ..)| (from_ms..from_ms + time_ms + 30.0).contains(at_ms))
        .collect();
    let (first, last) = (volumes.first().unwrap(), volumes.last().unwrap());
    let rate = (last.1 - first.1) as f64 / (last.0 - first.0) * 1e3;
    (rate, volumes.iter().filter_map(|volume| volume.2).collect())
}

#[test]
fn a_stress_adds_to_the_round_trip_and_a_held_window_bounds_the_download() {
    let Built { lab, base: _base } = build();
    let (telco, paris) = (
        lab.node_host(&site("telco")).unwrap(),
        lab.node_host(&user("paris-001")).unwrap(),
    );
    let _served = serve(&lab, telco, "172.16.0.1:5001");
    let server = "172.16.0.1:5001";
    let download = |seconds| {
        let window = [
            "download",
            "--window",
            "163840",
            "--report-every",
            "20ms",
            "--seconds",
            seconds,
            server,
        ];
        traffic(&lab, paris, &window)
    };

    let calm = echo(&lab, paris, server);
    assert_eq!((calm.sent, calm.lost, calm.reordered), (25, 0, 0));
    assert!((37.0..40.0).contains(&calm.rtt_p50_ms), "{calm:?}");
    // 8 Mbit/s of IP packets that carry 1,448 bytes in 1,500.
    let (full, _) = rate(&download("4"), 1000.0, 2900.0);
    assert!(
        (full / (8e6 / 8.0 * 1448.0 / 1500.0) - 1.0).abs() < 0.02,
        "{full}"
    );

    lab.stress(
        &UserName::new("paris-001").unwrap(),
        &SiteName::new("telco").unwrap(),
        Span::millis(400),
    )
    .unwrap();
    let stressed = echo(&lab, paris, server);
    assert_eq!(stressed.lost, 0);
    assert!((437.0..440.0).contains(&stressed.rtt_p50_ms), "{stressed:?}");
    // Slow start takes five round trips. The window comes as a burst each round trip, so whole ones are counted.
    let (held, windows) = rate(&download("8"), 3000.0, 10.0 * 437.0);
    assert!((held / (WINDOW / 0.437) - 1.0).abs() < 0.05, "{held}");
    assert!(
        windows.iter().all(|window| f64::from(*window) == WINDOW),
        "{windows:?}"
    );

    lab.relieve(
        &UserName::new("paris-001").unwrap(),
        &SiteName::new("telco").unwrap(),
    )
    .unwrap();
    let relieved = echo(&lab, paris, server);
    assert!((37.0..40.0).contains(&relieved.rtt_p50_ms), "{relieved:?}");

    let stats = lab.line_stats().unwrap();
    let access = stats.access["paris-001"];
    assert_eq!(
        (access.down_dropped, access.up_dropped, stats.kernel_drops),
        (0, 0, 0)
    );
    // Something waited at the bottleneck, and never more than the window with its headers.
    assert!((20_000..180_000).contains(&access.down_peak), "{access:?}");
    assert!(lab.casualties().is_empty());
}

#[test]
fn a_vm_answers_each_entry_by_the_entry_it_was_asked_through() {
    let Built { lab, base: _base } = build();
    let vm = VmName::new("vm-web-07").unwrap();
    let _served = serve(&lab, lab.vm_host(&vm).unwrap(), "0.0.0.0:5001");
    let target = SocketAddr::new(lab.vm_address(&vm).unwrap(), 5001);
    // The same peer behind two data centres, as after a switch: only the way back tells the two apart.
    let peer: IpAddr = "10.2.1.10".parse().unwrap();
    let socket = |name: &str| {
        let namespace = lab.node_host(&site(name)).unwrap();
        namespace
            .links(move |links| links.address("lo", peer, 32))
            .unwrap();
        let socket = namespace
            .run(move || UdpSocket::bind((peer, 6000)))
            .unwrap()
            .unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    };
    let (telco, lip6) = (socket("telco"), socket("lip6"));
    for (asking, word) in [(&lip6, b"lip6-"), (&telco, b"telco")] {
        asking.send_to(word, target).unwrap();
        let mut answer = [0; 16];
        let length = asking.recv(&mut answer).unwrap();
        assert_eq!(&answer[..length], word);
    }
}

#[test]
fn a_stranger_on_the_wan_reaches_every_locator() {
    let Built { lab, base: _base } = build();
    let paris = lab.node_host(&user("paris-001")).unwrap();
    let _served = serve(&lab, paris, "172.16.1.1:5001");
    let summary = echo(&lab, lab.outsider("stranger").unwrap(), "172.16.1.1:5001");
    assert_eq!((summary.sent, summary.lost), (25, 0));
    assert!((20.0..23.0).contains(&summary.rtt_p50_ms), "{summary:?}");
}

#[test]
fn a_killed_forwarder_is_no_casualty_and_comes_back() {
    let Built { lab, base: _base } = build();
    let node = site("marilyn");
    let before = lab.pids()[&node];
    lab.kill_forwarder(&node).unwrap();
    lab.kill_forwarder(&node).unwrap();
    assert!(!lab.pids().contains_key(&node) && lab.casualties().is_empty());
    lab.restart_forwarder(&node).unwrap();
    assert_ne!(lab.pids()[&node], before);

    // One that ends by itself is one.
    let victim = i32::try_from(lab.pids()[&node]).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(victim),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let casualty = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(10));
        lab.casualties()
    })
    .take(500)
    .find(|dead| !dead.is_empty())
    .unwrap();
    assert_eq!(casualty[0].0, "marilyn");
    assert!(
        matches!(lab.kill_forwarder(&site("nowhere")), Err(testbed::LabError::Unknown { name }) if name == "nowhere")
    );
}

#[test]
fn what_a_lab_wrote_is_its_owner_s_alone_and_gone_after_stop() {
    use std::os::unix::fs::MetadataExt;
    let Built { lab, base } = build();
    let directory: PathBuf = lab.directory().to_owned();
    assert!(directory.starts_with(base.path()));
    for entry in std::fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{:?}", entry.path());
    }
    let pids: Vec<u32> = lab.pids().into_values().collect();
    lab.stop().unwrap();
    assert!(!directory.exists());
    assert!(
        pids.iter()
            .all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    );
}
