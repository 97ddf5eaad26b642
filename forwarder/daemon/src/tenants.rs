//! The site's side: a TUN for each tenant, so that the kernel keeps their equal addresses apart.

use lisp_wire::InstanceId;
use offload::Tun;

use crate::config::TunConfig;
use crate::interface::{self, InterfaceError};

/// The TUNs, by tenant.
#[derive(Debug)]
pub(crate) struct Tenants {
    tenants: Box<[Tenant]>,
}

/// One tenant's.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) iid: InstanceId,
    pub(crate) tun: Tun,
}

impl Tenants {
    /// Makes all interfaces, each with the MTU that comes with it.
    pub(crate) fn establish<'a>(
        configs: impl Iterator<Item = (&'a TunConfig, u16)>,
    ) -> Result<Self, InterfaceError> {
        let tenant = |(config, mtu): (&TunConfig, u16)| {
            let tun = interface::establish(config, mtu)?;
            Ok(Tenant { iid: config.iid, tun })
        };
        let mut tenants: Vec<Tenant> = configs.map(tenant).collect::<Result<_, InterfaceError>>()?;
        tenants.sort_by_key(|tenant| tenant.iid);
        Ok(Self {
            tenants: tenants.into(),
        })
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Tenant> {
        self.tenants.iter()
    }

    /// A tenant's TUN.
    pub(crate) fn tun(&self, iid: InstanceId) -> Option<&Tun> {
        let index = self
            .tenants
            .binary_search_by_key(&iid, |tenant| tenant.iid)
            .ok()?;
        self.tenants.get(index).map(|tenant| &tenant.tun)
    }
}
