//! The configuration read anew while the node runs: on SIGHUP, or asked for over the control socket.

use std::io::Read;

use node::{ClientId, Input};
use proto::{NodeReport, ReportFrame};

use super::Control;
use crate::config::Config;

impl Control {
    /// SIGHUP: whoever sent it reads the log.
    pub(super) fn hung_up(&mut self) {
        let mut drain = [0; 16];
        while matches!((&self.hangups).read(&mut drain), Ok(length) if length > 0) {}
        if let Err(why) = self.reload() {
            tracing::error!("configuration not read anew, the node goes on as it was: {why}");
        }
    }

    /// A client asks for it.
    pub(super) fn reload_for(&mut self, client: ClientId, request: u64) {
        let report = match self.reload() {
            Ok(fixed) => NodeReport::Reloaded {
                from_next_start: fixed.into_iter().map(str::to_owned).collect(),
            },
            Err(why) => NodeReport::Refused { why },
        };
        let frame = ReportFrame {
            reply_to: Some(request),
            report,
        };
        if let Some(clients) = &mut self.clients {
            clients.tell(client, &frame);
        }
    }

    /// A file that is wrong changes nothing. Returns the fields that differ and count from the next start on.
    fn reload(&mut self) -> Result<Vec<&'static str>, String> {
        let mut config = Config::read(&self.path).map_err(|error| error.to_string())?;
        if let Some(roaming) = &self.roaming {
            // The file does not say where the node is.
            config.node.rlocs = roaming.rlocs().to_vec();
        }
        let fixed = self.node.config().fixed(&config.node);
        if !fixed.is_empty() {
            tracing::warn!(fields = fixed.join(", "), "these count from the next start on");
        }
        self.desk
            .inputs
            .push_back(Input::Configured(Box::new(config.node)));
        tracing::info!("configuration read anew");
        Ok(fixed)
    }
}
