//! What an xTR knows: the mappings of others and its own, what it asks and what it registers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lisp_wire::{EidPrefix, Locator, Priority, Rloc, Weight};
use proto::Timestamp;

use crate::cache::{Cache, Content, Life, Mapping, Origin};
use crate::config::{Config, Role};
use crate::context::Context;
use crate::database::Database;
use crate::input::Effect;
use crate::nat;
use crate::registration::Registrations;
use crate::relocation::Relocation;
use crate::resolution::Resolutions;
use crate::subscriber::{Knowledge, Subscriber};
use crate::whereabouts::Whereabouts;

/// The ITR's and the ETR's machines together, for those that need several of them.
#[derive(Debug)]
pub(crate) struct Xtr {
    pub(crate) cache: Cache,
    pub(crate) resolutions: Resolutions,
    pub(crate) database: Database,
    pub(crate) registrations: Registrations,
    pub(crate) subscriber: Subscriber,
    pub(crate) relocation: Relocation,
    pub(crate) whereabouts: Whereabouts,
}

impl Xtr {
    pub(crate) fn new(config: &Config, now: Timestamp) -> Self {
        Self {
            cache: Cache::new(
                config.eids.iter().map(|own| own.prefix),
                config.rlocs.iter().map(|own| own.rloc),
            )
            .heeding(config.data_header.any()),
            resolutions: Resolutions::new(now),
            database: Database::new(config),
            registrations: Registrations::default(),
            subscriber: Subscriber::default(),
            relocation: Relocation::default(),
            whereabouts: Whereabouts::default(),
        }
    }

    /// Publishes the first map cache. What is registered depends on what an earlier process has to say, and so comes
    /// with the next input.
    pub(crate) fn start(&mut self, cx: &mut Context<'_>) {
        self.cache.publish(cx);
        if cx.config.has(Role::Etr) {
            self.registrations.start(cx.config, cx.now);
        }
    }

    /// Behind a NAT the way to everybody is the router that helps us through it: answers of the mapping system could name
    /// locators that would not let us in, and questions could not be answered (draft-ermagan-lisp-nat-traversal section 5).
    pub(crate) fn go_through_routers(&mut self, cx: &mut Context<'_>) {
        let locator = |router| Locator::unicast(router, Priority::FIRST, Weight(100));
        let routers: BTreeSet<Rloc> = self.registrations.routers(cx.config).collect();
        if routers.is_empty() {
            return;
        }
        let locators: Vec<Locator> = routers.into_iter().map(locator).collect();
        let tenants: BTreeSet<_> = cx.config.eids.iter().map(|own| own.prefix.iid()).collect();
        let life = Life {
            from: cx.now,
            span: nat::BELIEVED,
        };
        let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        for (tenant, address) in tenants
            .iter()
            .flat_map(|tenant| everywhere.map(|any| (*tenant, any)))
        {
            let Ok(all) = EidPrefix::new(tenant, address, 0) else {
                continue;
            };
            let content = Content::Locators(locators.clone());
            self.cache
                .insert(all, Mapping::new(content, Origin::Router, all.first(), life));
            self.cache.forget_holes(all);
            self.cache.publish(cx);
            cx.effects.push(Effect::Release { eid: all });
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.cache.next_deadline(),
            self.resolutions.next_deadline(),
            self.registrations.next_deadline(),
            self.subscriber.next_deadline(),
            self.relocation.next_deadline(),
            self.whereabouts.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        for refresh in self.cache.tick(cx.now) {
            self.resolutions.refresh(refresh.asked, cx);
        }
        for hop in self.cache.take_wanted() {
            self.resolutions.refresh(hop, cx);
        }
        self.resolutions.tick(&mut self.cache, cx);
        self.registrations.tick(&self.database, cx);
        self.relocation.tick(&self.cache, &mut self.resolutions, cx);
        self.whereabouts.tick(&mut self.cache, cx);
        let departed = self.cache.take_departed();
        self.subscriber.departed(&departed, &mut self.resolutions, cx);
        let mut knowledge = Knowledge {
            resolutions: &mut self.resolutions,
            cache: &mut self.cache,
        };
        self.subscriber.tick(&mut knowledge, cx);
        self.cache.publish(cx);
    }
}
