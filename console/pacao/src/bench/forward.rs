//! `pacao bench forward`: one TCP stream and 64-byte UDP between two sites on a plain cable, ours and other tunnels in
//! turn, so that a noisy machine is noisy for all of them. Medians and ratios; judged against OpenOverlayRouter.

mod iperf;
mod oor;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use testbed::direct::{Direct, Forwarders};

use crate::checks::{Bound, Checks};
use crate::cli::{ForwardArgs, Peer};
use iperf::Figures;

/// A tunnel under test: its own pair of sites, and what keeps it running.
struct Contender {
    name: &'static str,
    sites: Direct,
    figures: Vec<Figures>,
    _running: Running,
}

/// What must live as long as the tunnel.
#[expect(dead_code, reason = "held for its Drop")]
enum Running {
    Forwarders(Forwarders),
    Oor(oor::Routers),
    Kernel,
}

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &ForwardArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    iperf::present()?;
    let mut contenders = vec![pacao()?];
    for peer in &args.peers {
        contenders.push(match peer {
            Peer::Oor => openoverlayrouter()?,
            Peer::Vxlan => vxlan()?,
            Peer::Plain => plain()?,
        });
    }
    for contender in &contenders {
        iperf::reachable(&contender.sites, Duration::from_secs(15))
            .with_context(|| format!("{} carries nothing between its sites", contender.name))?;
    }
    for round in 1..=args.rounds {
        for contender in &mut contenders {
            let figures = iperf::measure(&contender.sites, args.seconds)
                .with_context(|| format!("measuring {}", contender.name))?;
            eprintln!("round {round}: {:<8} {figures}", contender.name);
            contender.figures.push(figures);
        }
    }
    let checks = judge(&contenders);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

fn judge(contenders: &[Contender]) -> Checks {
    let mut checks = Checks::default();
    let medians: Vec<(&str, Figures)> = contenders
        .iter()
        .map(|c| (c.name, Figures::median(&c.figures)))
        .collect();
    for (name, median) in &medians {
        checks.add(format!("{name} tcp"), median.tcp_gbps, "Gbit/s", Bound::None);
        checks.add(format!("{name} udp64"), median.udp_kpps, "kpps", Bound::None);
    }
    let Some(((_, ours), peers)) = medians.split_first() else {
        return checks;
    };
    for (name, theirs) in peers {
        let bound = if *name == "oor" {
            Bound::AtLeast(1.0)
        } else {
            Bound::None
        };
        checks.add(
            format!("tcp, pacao to {name}"),
            ours.tcp_gbps / theirs.tcp_gbps,
            "ratio",
            bound,
        );
        checks.add(
            format!("udp64, pacao to {name}"),
            ours.udp_kpps / theirs.udp_kpps,
            "ratio",
            bound,
        );
    }
    checks
}

fn contender(name: &'static str, sites: Direct, running: Running) -> Contender {
    Contender {
        name,
        sites,
        figures: Vec::new(),
        _running: running,
    }
}

fn pacao() -> anyhow::Result<Contender> {
    let sites = Direct::start()?;
    let forwarders = sites.start_forwarders(vec![std::env::current_exe()?.into(), "forwarder".into()])?;
    Ok(contender("pacao", sites, Running::Forwarders(forwarders)))
}

fn openoverlayrouter() -> anyhow::Result<Contender> {
    let sites = Direct::start()?;
    let routers = oor::start(&sites)?;
    Ok(contender("oor", sites, Running::Oor(routers)))
}

fn vxlan() -> anyhow::Result<Contender> {
    let sites = Direct::start()?;
    for (here, there, own, far, far_net) in [
        (
            &sites.a,
            &sites.b,
            "192.168.255.1",
            "192.168.255.2",
            "10.9.2.0/24",
        ),
        (
            &sites.b,
            &sites.a,
            "192.168.255.2",
            "192.168.255.1",
            "10.9.1.0/24",
        ),
    ] {
        let link = format!(
            "link add vx0 type vxlan id 7 local {} remote {} dstport 4789 dev wan0",
            here.rloc, there.rloc
        );
        for words in [
            link,
            format!("addr add {own}/30 dev vx0"),
            "link set vx0 up".to_owned(),
        ] {
            ip(here, &words)?;
        }
        ip(here, &format!("route add {far_net} via {far}"))?;
    }
    Ok(contender("vxlan", sites, Running::Kernel))
}

fn plain() -> anyhow::Result<Contender> {
    let sites = Direct::start()?;
    ip(&sites.a, &format!("route add 10.9.2.0/24 via {}", sites.b.rloc))?;
    ip(&sites.b, &format!("route add 10.9.1.0/24 via {}", sites.a.rloc))?;
    Ok(contender("plain", sites, Running::Kernel))
}

fn ip(side: &testbed::direct::Side, words: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.args(words.split_whitespace());
    let status = side
        .xtr
        .spawn(command)
        .context("this peer needs the ip command (apt-get install iproute2)")?
        .wait()?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}
