//! OpenOverlayRouter between the sites of a [`Direct`], with a static map cache so that no Map-Server is needed.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use testbed::direct::{Direct, Side};

/// The two routers; dropped, they end.
pub(super) struct Routers {
    children: Vec<Child>,
    directory: tempfile::TempDir,
}

impl Drop for Routers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Already ended is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a router in each xTR.
pub(super) fn start(sites: &Direct) -> anyhow::Result<Routers> {
    ensure!(
        Path::new("/usr/sbin/oor").exists(),
        "peer oor is OpenOverlayRouter: apt-get install openoverlayrouter"
    );
    let directory = tempfile::tempdir()?;
    let mut routers = Routers {
        children: Vec::new(),
        directory,
    };
    for (name, here, there, own, far) in [
        ("a", &sites.a, &sites.b, "10.9.1.0/24", "10.9.2.0/24"),
        ("b", &sites.b, &sites.a, "10.9.2.0/24", "10.9.1.0/24"),
    ] {
        // Each instance writes its xTR-ID beside its configuration, so each has a directory of its own.
        let home = routers.directory.path().join(name);
        std::fs::create_dir(&home)?;
        std::fs::write(home.join("oor.conf"), configuration(there, own, far))?;
        default_route(here, there)?;
        let log = File::create(home.join("log"))?;
        // A private /tmp, because every instance binds the same socket name there. `$0` is entered first: it may lie
        // in /tmp itself.
        let script = "cd \"$0\" && mount -t tmpfs tmpfs /tmp && exec /usr/sbin/oor -f oor.conf -d 0";
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([
                "guard",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                script,
            ])
            .arg(&home);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        routers
            .children
            .push(here.xtr.spawn(command).context("starting OpenOverlayRouter")?);
    }
    Ok(routers)
}

/// It only uses an interface that has a default route.
fn default_route(here: &Side, there: &Side) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.args(["route", "add", "default", "via", &there.rloc.to_string()]);
    let status = here
        .xtr
        .spawn(command)
        .context("peer oor needs the ip command")?
        .wait()?;
    ensure!(status.success(), "ip route add default: {status}");
    Ok(())
}

fn configuration(there: &Side, own: &str, far: &str) -> String {
    let peer = there.rloc;
    format!(
        "debug = 0
map-request-retries = 2
operating-mode = xTR
encapsulation = LISP
ipv6-scope = GLOBAL
nat_traversal_support = off
rloc-probing {{
    rloc-probe-interval = 0
    rloc-probe-retries = 0
    rloc-probe-retries-interval = 2
}}
map-resolver = {{
    {peer}
}}
map-server {{
    address = {peer}
    key-type = 1
    key = bench
    proxy-reply = off
}}
database-mapping {{
    eid-prefix = {own}
    iid = 0
    ttl = 10
    rloc-iface {{
        interface = wan0
        ip_version = 4
        priority = 1
        weight = 100
    }}
}}
static-map-cache {{
    eid-prefix = {far}
    iid = 0
    rloc-address {{
        address = {peer}
        priority = 1
        weight = 100
    }}
}}
"
    )
}
