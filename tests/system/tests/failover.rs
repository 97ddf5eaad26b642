//! A data centre's forwarder dies. Users find out by their own probes and enter elsewhere, with the engine and without.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use system_tests::fabric::{lab, paris, site, vm};
use system_tests::patience::PATIENCE;
use testbed::traffic::TrafficLine;
use testbed::{Lab, Node};

struct Echo {
    child: Child,
    lines: Receiver<TrafficLine>,
}

impl Echo {
    fn start(lab: &Lab) -> (Self, Child) {
        let mut serve = lab.traffic();
        serve.arg("serve").stdin(Stdio::piped()).stdout(Stdio::null());
        let server = lab.vm_host(&vm()).unwrap().spawn(serve).unwrap();
        let mut echo = lab.traffic();
        let address = format!("{}:5001", lab.vm_address(&vm()).unwrap());
        echo.args(["echo", &address, "--each", "--drain", "1s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = lab.user_host(&paris()).unwrap().spawn(echo).unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        (Self { child, lines }, server)
    }

    /// The next packet that came back after number `after`.
    fn back(&self, after: u64) -> u64 {
        loop {
            if let TrafficLine::Back { seq, .. } =
                self.lines.recv_timeout(PATIENCE).expect("a packet comes back")
                && seq > after
            {
                return seq;
            }
        }
    }
}

#[test]
fn users_fail_over_by_their_own_probes_when_a_forwarder_is_killed() {
    let lab = lab(&[]).unwrap();
    let (mut echo, mut server) = Echo::start(&lab);
    let before = echo.back(10);
    lab.kill_forwarder(&Node::Site(site("telco"))).unwrap();
    // Packets on their way when it died may still come back; a hundred numbers later none of those is left.
    let again = echo.back(before + 100);
    assert!(again > before + 100);
    lab.restart_forwarder(&Node::Site(site("telco"))).unwrap();
    echo.back(again + 50);
    drop(echo.child.stdin.take());
    echo.child.wait().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    lab.stop().unwrap();
}
