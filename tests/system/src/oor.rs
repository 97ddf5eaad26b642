//! Sites whose routers are ours or OpenOverlayRouter, around one core that routes between their locators.
//!
//! ```text
//!  host --eth0--eid0-- router --wan0-- core --wan0-- router --eid0--eth0-- host
//!                        +------wan1----+--wan0-- Map-Server
//! ```

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::Namespace;
use testbed::namespace::netlink::Links;
use testbed::namespace::{Mac, NetlinkError, VethEnd};

use crate::capture::Capture;
use crate::product::pacao;

/// The secret that every router shares with the Map-Server.
pub const SECRET: &str = "interop";
/// The Map-Server's locator.
pub const MAP_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 80, 9, 2));

const OOR: &str = "/usr/sbin/oor";
const MTU: u32 = 1500;

/// A site: a host, a router, and the router's two cables to the core.
#[derive(Debug)]
pub struct Site {
    /// 1 or 2.
    pub number: u8,
    /// The host behind the router.
    pub host: Namespace,
    /// Where the router runs.
    pub router: Namespace,
}

impl Site {
    /// Its IPv4 EIDs.
    pub fn prefix(&self) -> String {
        format!("192.168.{}.0/24", self.number)
    }

    /// Its IPv6 EIDs.
    pub fn prefix6(&self) -> String {
        format!("fd00:{}::/64", self.number)
    }

    /// The host's IPv4 address.
    pub fn host_address(&self) -> IpAddr {
        Ipv4Addr::new(192, 168, self.number, 10).into()
    }

    /// The host's IPv6 address.
    pub fn host_address6(&self) -> IpAddr {
        Ipv6Addr::new(0xfd00, self.number.into(), 0, 0, 0, 0, 0, 0x10).into()
    }

    /// The locator on `wan0` (0) or `wan1` (1).
    pub fn rloc(&self, cable: u8) -> IpAddr {
        subnet(self.number, cable, 2)
    }

    /// The IPv6 locator on `wan0`, once there is one.
    pub fn rloc6(&self) -> IpAddr {
        subnet6(self.number, 2)
    }

    /// Packets that the router received by an interface so far.
    pub fn received(&self, interface: &str) -> anyhow::Result<u64> {
        let table = self
            .router
            .run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
        let row = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))
            .with_context(|| format!("no interface {interface}"))?;
        // Bytes first, packets second.
        Ok(row.split_whitespace().nth(1).context("a short row")?.parse()?)
    }
}

/// Two sites and a place for a Map-Server. Nothing runs in it yet.
#[derive(Debug)]
pub struct Internet {
    /// Site 1.
    pub a: Site,
    /// Site 2.
    pub b: Site,
    /// Where the Map-Server runs, at [`MAP_SERVER`].
    pub server: Namespace,
    /// What everything crosses.
    pub core: Namespace,
    rtrs: Vec<Namespace>,
    children: Vec<(Place, Child)>,
    directory: tempfile::TempDir,
}

impl Drop for Internet {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // Already ended is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Internet {
    /// Lays the cables.
    pub fn lay() -> anyhow::Result<Self> {
        let core = space("core")?;
        let server = space("server")?;
        join(&core, &server, (9, 0))?;
        Ok(Self {
            a: site(1, &core)?,
            b: site(2, &core)?,
            server,
            core,
            rtrs: Vec::new(),
            children: Vec::new(),
            directory: tempfile::tempdir()?,
        })
    }

    /// Starts OpenOverlayRouter in `space` with `configuration`.
    pub fn oor(&mut self, space: Place, configuration: &str) -> anyhow::Result<()> {
        ensure!(
            Path::new(OOR).exists(),
            "these tests need OpenOverlayRouter: apt-get install openoverlayrouter"
        );
        // Each instance writes its xTR-ID beside its configuration, so each has a directory of its own.
        let home = self.directory.path().join(format!("oor-{space:?}"));
        std::fs::create_dir(&home)?;
        std::fs::write(home.join("oor.conf"), configuration)?;
        let log = File::create(home.join("log"))?;
        // A private /tmp, because every instance binds the same socket name there. `$0` is entered first: it lies in
        // /tmp itself. Its log is read while it runs, so each line is written at once and not block by block.
        let script =
            format!("cd \"$0\" && mount -t tmpfs tmpfs /tmp && exec stdbuf -oL {OOR} -f oor.conf -d 2");
        let mut command = pacao([
            "guard",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
        ])?;
        command.arg(&home).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let router = self.space(space)?;
        settled(router);
        let child = router.spawn(command)?;
        self.children.push((space, child));
        Ok(())
    }

    /// Starts our forwarder in `space` with `configuration`, to which name, control socket and state directory are
    /// added; returns its control socket, once that answers. One that ran there before has left it its state.
    pub fn ours(&mut self, space: Place, configuration: &str) -> anyhow::Result<PathBuf> {
        let home = self.directory.path().join(format!("ours-{space:?}"));
        std::fs::create_dir_all(home.join("state"))?;
        let socket = home.join("control.sock");
        let (at, state) = (socket.display(), home.join("state"));
        let own = format!(
            "name: ours\ncontrol: {{ socket: {at} }}\nstate_dir: {}\n",
            state.display()
        );
        let file = home.join("node.yaml");
        std::fs::write(&file, own + configuration)?;
        let log = File::create(home.join("log"))?;
        let mut command = pacao(["forwarder", "--die-with-parent", "--config"])?;
        command.arg(&file).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = self.space(space)?.spawn(command)?;
        self.children.push((space, child));
        crate::patience::wait_for(
            "our forwarder answers",
            || std::fs::read_to_string(home.join("log")).unwrap_or_default(),
            |_| std::os::unix::net::UnixStream::connect(&socket).ok(),
        );
        Ok(socket)
    }

    /// A second host at each site, behind `eid1` of the router, with the addresses that the first one has.
    pub fn second_tenant(&self) -> anyhow::Result<[Namespace; 2]> {
        let host = |site: &Site| {
            let host = space(&format!("red-{}", site.number))?;
            behind(site.number, &site.router, &host, ("eid1", 7))?;
            Ok::<_, anyhow::Error>(host)
        };
        Ok([host(&self.a)?, host(&self.b)?])
    }

    /// What a router has written so far.
    pub fn log(&self, space: Place) -> String {
        ["oor", "ours"]
            .iter()
            .filter_map(|kind| {
                let path = self.directory.path().join(format!("{kind}-{space:?}/log"));
                std::fs::read_to_string(path).ok()
            })
            .collect()
    }

    /// Begins to write down what crosses the core.
    pub fn capture(&self) -> anyhow::Result<Capture> {
        Capture::start(&self.core, "any", self.directory.path())
    }

    /// Loses from now on what is sent to the first locator of a site; what it sends goes on.
    pub fn cut_off(&self, site: &Site) -> anyhow::Result<()> {
        let (rloc, port) = (site.rloc(0), port(site.number, 0));
        // Delivered to nobody's Ethernet address.
        let nobody = Mac([2, 0, 0, 0x80, 0xff, 0xff]);
        Ok(self
            .core
            .links(move |links| links.neighbour(&port, rloc, nobody))?)
    }

    /// Gives the first cables IPv6 addresses too.
    pub fn six(&self) -> anyhow::Result<()> {
        for (number, router) in [(1, &self.a.router), (2, &self.b.router), (9, &self.server)] {
            let near = port(number, 0);
            self.core
                .links(move |links| links.address(&near, subnet6(number, 1), 64))?;
            router.links(move |links| {
                links.address("wan0", subnet6(number, 2), 64)?;
                default_route(links, "wan0", subnet6(number, 1))
            })?;
        }
        Ok(())
    }

    /// A site's router moves: the first cable has these addresses from now on, and no others. `hosts` are the last
    /// parts, of either family.
    pub fn roam(&self, site: &Site, hosts: (Option<u8>, Option<u8>)) -> anyhow::Result<()> {
        let number = site.number;
        let wanted: Vec<(IpAddr, IpAddr, u8)> = [
            hosts
                .0
                .map(|host| (subnet(number, 0, host), subnet(number, 0, 1), 24)),
            hosts
                .1
                .map(|host| (subnet6(number, host), subnet6(number, 1), 64)),
        ]
        .into_iter()
        .flatten()
        .collect();
        Ok(site.router.links(move |links| {
            for host in 2..=99 {
                for (address, length) in [(subnet(number, 0, host), 24), (subnet6(number, host), 64)] {
                    // Most are not there.
                    let _ = links.remove_address("wan0", address, length);
                }
            }
            for (address, gateway, length) in wanted {
                links.address("wan0", address, length)?;
                default_route(links, "wan0", gateway)?;
            }
            Ok(())
        })?)
    }

    /// A further router on the core, at the address returned.
    pub fn rtr(&mut self) -> anyhow::Result<(Place, IpAddr)> {
        let number = 3 + u8::try_from(self.rtrs.len())?;
        let router = space(&format!("rtr-{number}"))?;
        join(&self.core, &router, (number, 0))?;
        self.rtrs.push(router);
        Ok((Place::Rtr(self.rtrs.len() - 1), subnet(number, 0, 2)))
    }

    /// Ends what runs somewhere, and lets it say goodbye.
    pub fn end(&mut self, place: Place) -> anyhow::Result<()> {
        for (_, child) in self.children.iter_mut().filter(|(at, _)| *at == place) {
            if child.try_wait()?.is_none() {
                kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
                child.wait()?;
            }
        }
        Ok(())
    }

    /// A second way into a site: a cable from a further router to the site's own, which has its hosts.
    pub fn second_way(&self, place: Place, site: &Site) -> anyhow::Result<()> {
        let [near, far]: [IpAddr; 2] = [1, 2].map(|host| Ipv4Addr::new(10, 81, site.number, host).into());
        let router = self.space(place)?;
        router.cable(
            end("lan0", site.number, 0x21),
            &site.router,
            end("lan0", site.number, 0x22),
        )?;
        let hosts: IpAddr = Ipv4Addr::new(192, 168, site.number, 0).into();
        router.links(move |links| {
            links.address("lan0", near, 24)?;
            links.route((hosts, 24), "lan0", Some(far))
        })?;
        Ok(site.router.links(move |links| links.address("lan0", far, 24))?)
    }

    /// Kills what runs somewhere.
    pub fn kill(&mut self, place: Place) -> anyhow::Result<()> {
        for (_, child) in self.children.iter_mut().filter(|(at, _)| *at == place) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Where something runs.
    pub fn space(&self, place: Place) -> anyhow::Result<&Namespace> {
        Ok(match place {
            Place::A => &self.a.router,
            Place::B => &self.b.router,
            Place::Server => &self.server,
            Place::Rtr(number) => self.rtrs.get(number).context("no such router")?,
        })
    }
}

/// Where a router can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At site 1.
    A,
    /// At site 2.
    B,
    /// At the Map-Server's address.
    Server,
    /// At a further router.
    Rtr(usize),
}

/// The core's end of a cable.
fn port(number: u8, cable: u8) -> String {
    format!("port{number}{cable}")
}

/// 10.80.N.0/24 for `wan0` of site N, 10.80.10N.0/24 for `wan1`.
fn subnet(number: u8, cable: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 80, number + 100 * cable, host).into()
}

/// 2001:db8:80:N::/64 for `wan0` of site N.
fn subnet6(number: u8, host: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x80, number.into(), 0, 0, 0, host.into()).into()
}

/// The Map-Server's IPv6 locator, once [`Internet::six`] gave it one.
pub fn map_server6() -> IpAddr {
    subnet6(9, 2)
}

fn space(name: &str) -> anyhow::Result<Namespace> {
    let namespace = Namespace::new(name)?;
    for which in ["all", "default"] {
        namespace.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "0")?;
        namespace.sysctl(&format!("ipv4/conf/{which}/send_redirects"), "0")?;
        namespace.sysctl(&format!("ipv6/conf/{which}/accept_dad"), "0")?;
        namespace.sysctl(&format!("ipv6/conf/{which}/accept_ra"), "0")?;
    }
    Ok(namespace)
}

fn site(number: u8, core: &Namespace) -> anyhow::Result<Site> {
    let site = Site {
        number,
        host: space(&format!("host-{number}"))?,
        router: space(&format!("router-{number}"))?,
    };
    behind(number, &site.router, &site.host, ("eid0", 1))?;
    join(core, &site.router, (number, 0))?;
    join(core, &site.router, (number, 1))?;
    Ok(site)
}

/// Lays the cable from an interface of a router to a host of its site.
fn behind(
    number: u8,
    router: &Namespace,
    host: &Namespace,
    (interface, kind): (&'static str, u8),
) -> anyhow::Result<()> {
    let address: IpAddr = Ipv4Addr::new(192, 168, number, 10).into();
    let address6: IpAddr = Ipv6Addr::new(0xfd00, number.into(), 0, 0, 0, 0, 0, 0x10).into();
    let gateway: IpAddr = Ipv4Addr::new(192, 168, number, 1).into();
    let gateway6: IpAddr = Ipv6Addr::new(0xfd00, number.into(), 0, 0, 0, 0, 0, 1).into();
    router.cable(end(interface, number, kind), host, end("eth0", number, kind + 1))?;
    router.links(move |links| {
        links.address(interface, gateway, 24)?;
        links.address(interface, gateway6, 64)
    })?;
    host.links(move |links| {
        links.address("eth0", address, 24)?;
        links.address("eth0", address6, 64)?;
        default_route(links, "eth0", gateway)?;
        default_route(links, "eth0", gateway6)
    })?;
    Ok(())
}

/// Lays the cable `wan<cable>` from the core to a router, which forwards as the core does.
fn join(core: &Namespace, router: &Namespace, (number, cable): (u8, u8)) -> anyhow::Result<()> {
    for space in [core, router] {
        space.sysctl("ipv4/ip_forward", "1")?;
        space.sysctl("ipv6/conf/all/forwarding", "1")?;
    }
    let (near, far) = (port(number, cable), format!("wan{cable}"));
    let (inside, outside) = (subnet(number, cable, 2), subnet(number, cable, 1));
    core.cable(
        end(&near, number, 3 + 2 * cable),
        router,
        end(&far, number, 4 + 2 * cable),
    )?;
    core.links(move |links| links.address(&near, outside, 24))?;
    router.links(move |links| {
        links.address(&far, inside, 24)?;
        // One default route each is the most that can be had without metrics; the first cable has it.
        if cable == 0 {
            default_route(links, &far, outside)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Waits until the kernel has told of every cable that it is up, which takes it up to a second: OpenOverlayRouter as a
/// Map-Server ends without a word when it hears of it.
fn settled(space: &Namespace) {
    crate::patience::wait_for(
        "the cables are up",
        || {
            let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
            space.run(read).unwrap_or_default()
        },
        // The link-local address comes with the news.
        |addresses| {
            let up = |line: &str| line.starts_with("fe80") && line.ends_with("wan0");
            addresses.lines().any(up).then_some(())
        },
    );
}

fn default_route(links: &mut Links, interface: &str, gateway: IpAddr) -> Result<(), NetlinkError> {
    let anywhere: IpAddr = if gateway.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    links.route((anywhere, 0), interface, Some(gateway))
}

fn end(name: &str, number: u8, kind: u8) -> VethEnd {
    VethEnd {
        name: name.to_owned(),
        mac: Mac([2, 0, 0, 0x80, number, kind]),
        mtu: MTU,
    }
}
