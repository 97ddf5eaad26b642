//! A configuration that was read anew while the node runs.

use super::Config;

impl Config {
    /// The fields in which `newer` differs from this configuration but that stay as they are until a restart: what the
    /// node's tables and sockets were made from.
    pub fn fixed(&self, newer: &Self) -> Vec<&'static str> {
        let Self {
            name,
            xtr_id,
            site_id,
            rlocs,
            roles,
            eids,
            probing,
            data_header,
            ..
        } = newer;
        let fields = [
            ("name", *name != self.name),
            ("xtr_id", *xtr_id != self.xtr_id),
            ("site_id", *site_id != self.site_id),
            ("rlocs", *rlocs != self.rlocs),
            ("roles", *roles != self.roles),
            ("eids", *eids != self.eids),
            ("probing", *probing != self.probing),
            ("data_header", *data_header != self.data_header),
        ];
        let differing = fields.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(field, _)| field).collect()
    }

    /// Takes over all but those fields: keys and whom they are shared with, Map-Servers and -Resolvers, sites and
    /// delegations, subscriptions, Change-Priority. `newer` has passed [`Config::check`].
    pub(crate) fn adopt(&mut self, newer: Self) {
        let running = std::mem::replace(self, newer);
        self.name = running.name;
        self.xtr_id = running.xtr_id;
        self.site_id = running.site_id;
        self.rlocs = running.rlocs;
        self.roles = running.roles;
        self.eids = running.eids;
        self.probing = running.probing;
        self.data_header = running.data_header;
    }
}
