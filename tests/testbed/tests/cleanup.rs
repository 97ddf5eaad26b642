//! Nothing is left behind, however a lab ends.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::Namespace;

struct Running {
    child: Child,
    said: Vec<String>,
    directory: PathBuf,
}

fn start(base: &Path) -> Running {
    testbed::enter().expect("these tests make network namespaces: run them as root");
    let mut child = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("lab")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sessions/table-5-1.yaml"))
        .args(["--forwarder", env!("CARGO_BIN_EXE_stand-in")])
        .env("XDG_RUNTIME_DIR", base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(directory) = line.strip_prefix("directory: ") {
            let directory = directory.into();
            return Running {
                child,
                said,
                directory,
            };
        }
        said.push(line);
    }
    panic!("the lab did not start: {said:?} {:?}", child.wait());
}

/// Processes whose parent is `pid`.
fn children(pid: u32) -> BTreeSet<u32> {
    let parent = |candidate: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{candidate}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))?
            .trim()
            .parse()
            .ok()
    };
    processes()
        .into_iter()
        .filter(|candidate| parent(*candidate) == Some(pid))
        .collect()
}

fn processes() -> Vec<u32> {
    let names = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Network namespaces that any thread of these processes is in.
fn namespaces(pids: impl IntoIterator<Item = u32>) -> BTreeSet<PathBuf> {
    let tasks = pids
        .into_iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    tasks
        .flatten()
        .filter_map(|task| fs::read_link(task.ok()?.path().join("ns/net")).ok())
        .collect()
}

/// Whether a process runs; one that waits to be buried does not.
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

fn interfaces() -> BTreeSet<std::ffi::OsString> {
    fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ends_without_a_trace(signal: Signal) {
    let base = tempfile::tempdir().unwrap();
    let before = interfaces();
    let own = namespaces([std::process::id()]);
    let mut running = start(base.path());
    let lab = running.child.id();
    let helpers = children(lab);
    // Seven forwarders and the delay line.
    assert_eq!(helpers.len(), 8);
    let made: BTreeSet<PathBuf> = namespaces(helpers.iter().copied().chain([lab]))
        .difference(&own)
        .cloned()
        .collect();
    // Twelve namespaces; that of the program itself is ours.
    assert_eq!(made.len(), 12);

    kill(Pid::from_raw(i32::try_from(lab).unwrap()), signal).unwrap();
    running.child.wait().unwrap();
    soon("helpers still run", || !helpers.iter().any(|pid| runs(*pid)));
    soon("namespaces are still in use", || {
        namespaces(processes()).is_disjoint(&made)
    });
    assert_eq!(interfaces(), before);

    // Files cannot go by themselves: the next start takes them along.
    assert!(running.directory.exists());
    let mut next = start(base.path());
    assert!(
        next.said.contains(&"Swept { directories: 1 }".to_owned()),
        "{:?}",
        next.said
    );
    assert!(!running.directory.exists() && next.directory.exists());
    drop(next.child.stdin.take());
    assert!(next.child.wait().unwrap().success());
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn a_lab_killed_with_kill_9_leaves_no_process_no_namespace_and_after_the_next_start_no_file() {
    ends_without_a_trace(Signal::SIGKILL);
}

#[test]
fn ctrl_c_leaves_nothing_either() {
    ends_without_a_trace(Signal::SIGINT);
}

#[test]
fn a_guarded_program_ends_with_its_namespace() {
    testbed::enter().expect("these tests make network namespaces: run them as root");
    let namespace = Namespace::new("guarded").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.args(["guard", "sleep", "1000"]);
    let mut child = namespace.spawn(command).unwrap();
    soon("the guard does not become the program", || {
        fs::read_to_string(format!("/proc/{}/comm", child.id())).is_ok_and(|name| name.trim() == "sleep")
    });
    assert_eq!(child.try_wait().unwrap(), None);
    drop(namespace);
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}
